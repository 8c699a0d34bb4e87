/** TensorBoard's colours of runs: seven in turn, in the order in which it lists the runs. */

const LIGHT = ["#425066", "#12b5cb", "#e52592", "#f9ab00", "#9334e6", "#7cb342", "#e8710a"];
const DARK = ["#8e98a3", ...LIGHT.slice(1)];

export class Palette {
  /** @param {string[]} order the runs in TensorBoard's order; other runs follow in the order of their first use */
  constructor(order) {
    /** @type {Map<string, number>} */
    this.ranks = new Map(order.map((run, rank) => [run, rank]));
  }

  /**
   * @param {string} run
   * @returns {string} a CSS colour that follows the theme
   */
  colourOf(run) {
    let rank = this.ranks.get(run);
    if (rank === undefined) {
      rank = this.ranks.size;
      this.ranks.set(run, rank);
    }
    return `var(--run-${rank % LIGHT.length})`;
  }

  /** Define the colours as CSS variables. */
  static install() {
    const style = document.createElement("style");
    const declare = (/** @type {string[]} */ colours) =>
      colours.map((colour, rank) => `--run-${rank}:${colour};`).join("");
    style.textContent = `:root{${declare(LIGHT)}}:root[data-theme="dark"]{${declare(DARK)}}`;
    document.head.append(style);
  }
}
