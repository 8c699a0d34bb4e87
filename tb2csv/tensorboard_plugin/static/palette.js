/** The colours that TensorBoard gives to runs: seven in turn, by the order in which it lists them. */

const LIGHT = ["#425066", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a"];
const DARK = ["#8e98a3", ...LIGHT.slice(1)];

export class Palette {
  /** @param {string[]} order the runs in TensorBoard's order; what it does not list follows in order of asking */
  constructor(order) {
    /** @type {Map<string, number>} */
    this.places = new Map(order.map((run, place) => [run, place]));
  }

  /**
   * @param {string} run
   * @returns {string} a colour for style sheets, which differs between the themes
   */
  colourOf(run) {
    let place = this.places.get(run);
    if (place === undefined) {
      place = this.places.size;
      this.places.set(run, place);
    }
    return `var(--run-${place % LIGHT.length})`;
  }

  /** Make the colours known to the style sheet. */
  static install() {
    const style = document.createElement("style");
    const declare = (/** @type {string[]} */ colours) =>
      colours.map((colour, place) => `--run-${place}:${colour};`).join("");
    style.textContent = `:root{${declare(LIGHT)}}:root[data-theme="dark"]{${declare(DARK)}}`;
    document.head.append(style);
  }
}
