/** Colour maps that get evenly brighter and that the colour-blind see alike: matplotlib's (CC0). */

const STOPS = {
  viridis:
    "440154 48186a 472d7b 424086 3b528b 33638d 2c728e 26828e 21918c 1fa088 28ae80 3fbc73 5ec962 84d44b addc30 d8e219 fde725",
  cividis:
    "00224e 002e6a 1a386f 32436d 434e6c 535a6d 61656f 6f7073 7d7c78 8c8878 9b9476 aba072 bcae6c cdbb63 dec958 f0d846 fee838",
};

/**
 * @param {"viridis" | "cividis"} name
 * @returns {Uint32Array} 256 colours, opaque, as ImageData lays them out (little-endian RGBA)
 */
export function colourMap(name) {
  const stops = STOPS[name].split(" ").map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  return Uint32Array.from({ length: 256 }, (_, i) => {
    const at = (i / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    const [r, g, b] = stops[low].map((v, c) => Math.round(v + (at - low) * (stops[low + 1][c] - v)));
    return ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  });
}
