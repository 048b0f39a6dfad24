// Browsers refuse web workers on pages that are opened from a disk. The search's worker then runs in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.appendChild(frame);
      const inside = (this.inside = frame.contentWindow);
      window.addEventListener("message", (event) => {
        if (event.source === inside) {
          const message = new MessageEvent("message", { data: event.data });
          this.dispatchEvent(message);
          if (this.onmessage) this.onmessage(message);
        }
      });
      inside.document.open();
      inside.document.write("<!doctype html><html><body></body></html>");
      inside.document.close();
      inside.postMessage = (data) => window.dispatchEvent(new MessageEvent("message", { data, source: inside }));
      inside.importScripts = (...urls) =>
        urls.reduce((before, one) => before.then(() => load(inside.document, one)), Promise.resolve());
      this.ready = load(inside.document, url);
    }
    postMessage(data) {
      this.ready.then(() => this.inside.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() {
      this.inside.frameElement.remove();
    }
  };
  const load = (page, url) =>
    new Promise((done) => {
      const script = page.createElement("script");
      script.src = new URL(url, location.href);
      script.onload = done;
      page.body.appendChild(script);
    });
}
