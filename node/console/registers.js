// Which place a resource's heads have in the state (docs/protocol.md X1).

export const PAGE_SLOTS = 16;
// A page's number is one byte.
export const MAX_REGISTER_RESOURCES = 256 * PAGE_SLOTS;
/** Slots that are hashed together (K6). */
export const GROUP_SLOTS = 4;

/** A resource's name up to the first point. */
export function registerOf(resource) {
  return resource.split(".", 1)[0];
}

/** Whether no register has more resources than it has pages for. */
export function fitsPages(resources) {
  const counts = new Map();
  for (const name of resources) counts.set(registerOf(name), (counts.get(registerOf(name)) ?? 0) + 1);
  return Math.max(0, ...counts.values()) <= MAX_REGISTER_RESOURCES;
}

/** By name, the register, page, number within the page, and the page's width of each resource, given the names of all. */
export function assignSlots(resources) {
  const registers = new Map();
  // The names are ASCII, of which JavaScript's order is that of the bytes.
  for (const name of [...resources].sort()) {
    const register = registerOf(name);
    registers.set(register, [...(registers.get(register) ?? []), name]);
  }
  const slots = new Map();
  for (const [register, names] of registers) {
    names.forEach((name, position) => {
      const page = Math.floor(position / PAGE_SLOTS);
      const used = Math.min(PAGE_SLOTS, names.length - page * PAGE_SLOTS);
      const width = Math.ceil(used / GROUP_SLOTS) * GROUP_SLOTS;
      slots.set(name, { register, page, number: position % PAGE_SLOTS, width });
    });
  }
  return slots;
}

/** By register and page (`pageKey`), its width and the names of its resources by number. */
export function registerPages(slots) {
  const pages = new Map();
  for (const [name, { register, page, number, width }] of slots) {
    const key = pageKey(register, page);
    if (!pages.has(key)) pages.set(key, { width, resources: new Map() });
    pages.get(key).resources.set(number, name);
  }
  return pages;
}

/** What `registerPages` finds a page by. */
export function pageKey(register, page) {
  return `${page} ${register}`;
}
