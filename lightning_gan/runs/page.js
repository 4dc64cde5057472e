for (const figure of document.querySelectorAll("[data-slides]")) {
  const slides = figure.querySelectorAll("[data-caption]");
  const slider = figure.querySelector("input");
  const said = figure.querySelector("output");
  const show = () => {
    slides.forEach((slide, number) => { slide.toggleAttribute("hidden", number !== Number(slider.value)); });
    said.textContent = slides[slider.value].dataset.caption;
  };
  slider.hidden = slides.length < 2;
  slider.addEventListener("input", show);
  show();
}
