/**
 * Tags as a tree: `a/b` is in the folder `a`. The nodes are in one array, parents before their children, so that sums
 * and rows each need one pass.
 */

import { inNameOrder } from "./name_order.js";

/**
 * @typedef {Object} TreeNode
 * @property {string} key unique, and stable across reloads
 * @property {string} name the part of the tag that this node adds
 * @property {string} path the whole tag or folder
 * @property {number} tag number of the tag, -1 for a folder
 * @property {number} parent place of the folder, -1 at the top
 * @property {number} level 1 at the top
 * @property {number} end place after the last node below this one
 *
 * @typedef {Object} TreeRow a node as it is shown
 * @property {number} place of the node
 * @property {boolean} open whether a folder shows its children
 * @property {number} position among the shown nodes of its folder, from 1
 * @property {number} siblings number of the shown nodes of its folder
 */

export class TagTree {
  /** @param {string[]} tags */
  constructor(tags) {
    /** @type {TreeNode[]} */
    this.nodes = [];
    this.lay(folderOf(tags), -1, "", 1);
  }

  /**
   * @param {Folder} folder
   * @param {number} parent
   * @param {string} before the path of the folder, with a slash at the end
   * @param {number} level
   */
  lay(folder, parent, before, level) {
    const entries = inNameOrder(folder.children, ([name]) => name);
    for (const [name, child] of entries) this.layEntry(name, child, parent, before, level);
  }

  /**
   * @param {string} name
   * @param {Folder} child
   * @param {number} parent
   * @param {string} before
   * @param {number} level
   */
  layEntry(name, child, parent, before, level) {
    if (child.children.size === 0) {
      this.add(`tag:${before}${name}`, name, before + name, child.tag, parent, level);
      return;
    }
    // A folder that contains only one folder shares a row with it.
    let title = name;
    let inner = child;
    while (inner.tag < 0 && inner.children.size === 1) {
      const [[next, only]] = inner.children;
      if (only.children.size === 0) break;
      title += `/${next}`;
      inner = only;
    }
    const path = before + title;
    const place = this.add(`folder:${path}`, title, path, -1, parent, level);
    // A tag that is also a folder gets a row of its own in that folder.
    if (inner.tag >= 0) this.add(`tag:${path}`, title, path, inner.tag, place, level + 1);
    this.lay(inner, place, `${path}/`, level + 1);
    this.nodes[place].end = this.nodes.length;
  }

  /**
   * @param {string} key
   * @param {string} name
   * @param {string} path
   * @param {number} tag
   * @param {number} parent
   * @param {number} level
   * @returns {number}
   */
  add(key, name, path, tag, parent, level) {
    const place = this.nodes.length;
    this.nodes.push({ key, name, path, tag, parent, level, end: place + 1 });
    return place;
  }

  /**
   * Sum a number over the tags of each folder.
   *
   * @param {ArrayLike<number>} ofTag
   * @returns {Float64Array} a number for each node
   */
  sums(ofTag) {
    const sums = new Float64Array(this.nodes.length);
    for (let place = this.nodes.length - 1; place >= 0; place -= 1) {
      const { tag, parent } = this.nodes[place];
      if (tag >= 0) sums[place] = ofTag[tag];
      if (parent >= 0) sums[parent] += sums[place];
    }
    return sums;
  }

  /**
   * Return the rows to show.
   *
   * @param {ArrayLike<number>} listed for each node, more than 0 if it or a node below it is listed
   * @param {(node: TreeNode) => boolean} isOpen
   * @returns {TreeRow[]}
   */
  rows(listed, isOpen) {
    /** @type {TreeRow[]} */
    const rows = [];
    /** @type {Map<number, number>} */
    const siblings = new Map();
    for (let place = 0; place < this.nodes.length;) {
      const node = this.nodes[place];
      if (!(listed[place] > 0)) {
        place = node.end;
        continue;
      }
      const position = (siblings.get(node.parent) ?? 0) + 1;
      siblings.set(node.parent, position);
      const open = node.tag < 0 && isOpen(node);
      rows.push({ place, open, position, siblings: 0 });
      place = node.tag < 0 && !open ? node.end : place + 1;
    }
    for (const row of rows) row.siblings = siblings.get(this.nodes[row.place].parent) ?? 1;
    return rows;
  }

  /**
   * @param {number} place
   * @returns {number[]} the numbers of the tags at a node and below it
   */
  tagsBelow(place) {
    const below = this.nodes.slice(place, this.nodes[place].end);
    return below.filter((node) => node.tag >= 0).map((node) => node.tag);
  }
}

class Folder {
  constructor() {
    /** @type {Map<string, Folder>} */
    this.children = new Map();
    this.tag = -1;
  }
}

/**
 * @param {string[]} tags
 * @returns {Folder}
 */
function folderOf(tags) {
  const top = new Folder();
  tags.forEach((tag, number) => {
    let folder = top;
    for (const part of tag.split("/")) {
      let next = folder.children.get(part);
      if (!next) {
        next = new Folder();
        folder.children.set(part, next);
      }
      folder = next;
    }
    folder.tag = number;
  });
  return top;
}
