for (const figure of document.querySelectorAll("[data-slides]")) {
  const pictures = figure.querySelectorAll("img");
  const slider = figure.querySelector("input");
  const said = figure.querySelector("output");
  const show = () => {
    pictures.forEach((picture, number) => { picture.hidden = number !== Number(slider.value); });
    said.textContent = pictures[slider.value].alt;
  };
  slider.hidden = false;
  slider.addEventListener("input", show);
  show();
}
