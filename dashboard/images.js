// Images for a message: picked, pasted or dropped, shown small, and each can be taken back.

import { attr, button, make, show } from "./dom.js";

const KINDS = ["image/png", "image/jpeg", "image/webp", "image/gif"];
const MOST = 8; // in one message
const LARGEST = 10 * 2 ** 20; // bytes of one

/** The images of a draft. *barred()* says why there may be none, or ""; *complain(words)* tells what went wrong. */
export function imagesView({ barred, complain }) {
  const picker = make("input", { type: "file", accept: KINDS.join(), multiple: true, hidden: true, "aria-label": "Images" });
  const adding = make("button", { type: "button", press: () => picker.click() }, "Add images", picker);
  const previews = make("ul.plain.previews", { "aria-label": "Images to send", hidden: true });
  const view = { button: adding, previews, urls: [], check, clear, takeFrom };

  function check() {
    attr(adding, "disabled", Boolean(barred()));
    attr(adding, "title", barred() || "Or paste them, or drop them here");
    complain(view.urls.length ? barred() : "");
    return !view.urls.length || !barred();
  }

  function clear() {
    view.urls = [];
    draw();
  }

  function draw() {
    previews.replaceChildren(...view.urls.map(preview));
    show(previews, view.urls.length);
  }

  function preview(url, index) {
    const remove = button("×", () => {
      view.urls.splice(index, 1);
      draw();
      check();
      adding.focus();
    }, { "aria-label": `Remove image ${index + 1}` });
    return make("li", make("img", { src: url, alt: `Image ${index + 1}` }), remove);
  }

  async function take(files) {
    for (const file of files) {
      const wrong = wrongWith(file);
      if (wrong) return complain(wrong);
      view.urls.push(await read(file));
      draw();
    }
    return check();
  }

  function wrongWith({ name, type, size }) {
    if (barred()) return barred();
    if (!KINDS.includes(type)) return `${name} is none of PNG, JPEG, WebP and GIF.`;
    if (size > LARGEST) return `${name} is larger than 10 MB.`;
    return view.urls.length < MOST ? "" : `A message takes ${MOST} images.`;
  }

  /** Take what is pasted into or dropped on *area*. */
  function takeFrom(area) {
    for (const kind of ["paste", "drop"]) {
      area.addEventListener(kind, (event) => {
        const { files } = event.clipboardData ?? event.dataTransfer;
        if (!files.length) return; // text, which goes where it always goes
        event.preventDefault();
        take([...files]);
      });
    }
    area.addEventListener("dragover", (event) => event.preventDefault());
  }

  picker.addEventListener("click", (event) => event.stopPropagation());
  picker.addEventListener("change", async () => {
    await take([...picker.files]);
    picker.value = "";
  });
  return view;
}

function read(file) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.addEventListener("load", () => done(reader.result));
    reader.addEventListener("error", () => failed(reader.error));
    reader.readAsDataURL(file);
  });
}
