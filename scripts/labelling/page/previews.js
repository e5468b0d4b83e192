// Small pictures in the list. One is loaded at a time, those on the screen first, so that they delay nothing else.

const waiting = new Set();
let loading = false;

const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) isIntersecting ? waiting.add(target) : waiting.delete(target);
  loadNext();
});

export function makePreview(episode) {
  const image = document.createElement("img");
  image.alt = "";
  image.className = "preview";
  image.dataset.src = `/preview/${episode}`;
  for (const what of ["load", "error"])
    image.addEventListener(what, () => {
      loading = false;
      loadNext();
    });
  observer.observe(image);
  return image;
}

function loadNext() {
  const [image] = waiting;
  if (loading || !image) return;
  loading = true;
  waiting.delete(image);
  observer.unobserve(image);
  image.src = image.dataset.src;
}
