/**
 * In the model's thread: files for what is too long for memory, in the private storage that the browser
 * keeps for the page's address. They are removed with their sounds; those of a tab that was closed, when
 * the page is next opened.
 */

const PREFIX = "hearaudiomlp-scratch-";

let folder = null;
let next = 0;

/** A folder of this thread's own. While the thread runs, a lock of the same name is held. */
async function makeFolder() {
  const root = await navigator.storage.getDirectory();
  const name = PREFIX + crypto.randomUUID();
  await new Promise((resolve, reject) => {
    const hold = () => {
      resolve();
      return new Promise(() => {});
    };
    navigator.locks.request(name, hold).catch(reject);
  });
  return root.getDirectoryHandle(name, { create: true });
}

/** Remove the folders of threads that don't run any more. */
export async function sweep() {
  try {
    const root = await navigator.storage.getDirectory();
    for await (const name of root.keys()) {
      if (!name.startsWith(PREFIX)) continue;
      const remove = (lock) => lock && root.removeEntry(name, { recursive: true });
      await navigator.locks.request(name, { ifAvailable: true }, remove);
    }
  } catch {
    // There is no such storage here, or somebody reads from it still: the next visit tries again.
  }
}

/** @returns {Promise<object | null>} a new file, or null where the browser has no storage for it */
export async function scratch() {
  try {
    folder ??= makeFolder();
    const [place, name] = [await folder, String(next++)];
    const file = await place.getFileHandle(name, { create: true });
    const access = await file.createSyncAccessHandle();
    return {
      /** Put `values` at the byte `at`, and say whether there was room for them. */
      write(values, at) {
        try {
          return access.write(values, { at }) === values.byteLength;
        } catch {
          return false;
        }
      },
      /** Fill `values` from the byte `at` on. */
      read: (values, at) => access.read(values, { at }),
      blob: () => {
        access.flush();
        return file.getFile();
      },
      remove() {
        access.close();
        place.removeEntry(name).catch(() => {}); // a download may read it still
      },
    };
  } catch {
    return null;
  }
}
