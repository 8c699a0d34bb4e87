/** The page: connects its state with the server, with TensorBoard and with the view. */

import { getOptions } from "./api.js";
import { ExportController } from "./export_controller.js";
import { ExportOptions } from "./export_options.js";
import { linkedSelection, onDataReloaded, onLinkChanged, runsOfTensorBoard } from "./host.js";
import { IndexPoller } from "./index_poller.js";
import { Notices } from "./notices.js";
import { Palette } from "./palette.js";
import { Store } from "./store.js";
import { View } from "./view.js";

export class App {
  constructor() {
    this.notices = new Notices();
    this.options = new ExportOptions(() => this.view.scheduleRender());
    this.exports = new ExportController(this.notices, () => this.options.value);
    this.store = new Store(() => this.options.value);
    this.view = new View(this.store, this.options, this.exports, this.notices, () => this.load());
    this.poller = new IndexPoller({
      version: () => this.store.index?.version ?? null,
      receive: (answer) => this.receive(answer),
      fail: (message) => this.view.showLoadError(message),
    });
    this.hasOptions = false;
  }

  /** @param {HTMLElement} body */
  show(body) {
    body.append(...this.view.elements);
  }

  /** Load all data from the server, and follow TensorBoard from then on. */
  async start() {
    const linked = linkedSelection();
    if (linked) this.applyLink(linked);
    onLinkChanged((changed) => {
      this.applyLink(changed);
      this.view.scheduleRender();
    });
    onDataReloaded(() => {
      this.updateColours();
      this.load();
    });
    this.updateColours();
    await this.load();
  }

  /** Use TensorBoard's colours for the runs; runs that it does not list get the next ones. */
  async updateColours() {
    this.view.setPalette(new Palette(await runsOfTensorBoard()));
  }

  /** Bring the index up to date: at the start, and when TensorBoard has reloaded its data. */
  async load() {
    await this.poller.poll(this.hasOptions ? null : this.loadOptions());
  }

  async loadOptions() {
    const options = await getOptions();
    this.hasOptions = true;
    this.exports.blobLimit = options.blob_limit;
    this.options.update(options);
    if (this.store.linked) this.applyLinkedOptions(this.store.linked);
    this.exports.resume();
  }

  /**
   * @param {import("./api.js").IndexAnswer} answer
   * @returns {boolean} whether the server is still scanning
   */
  receive(answer) {
    const before = this.store.index;
    this.store.setIndex(answer);
    if (before) this.view.refreshPreview(before);
    this.view.scheduleRender();
    return this.store.index?.state === "scanning";
  }

  /** @param {import("./host.js").LinkedSelection} linked */
  applyLink(linked) {
    this.store.applyLink(linked);
    if (this.hasOptions) this.applyLinkedOptions(linked);
  }

  /** @param {import("./host.js").LinkedSelection} linked */
  applyLinkedOptions(linked) {
    this.options.apply({ file: linked.file[0], layout: linked.layout[0], format: linked.format[0] });
  }
}
