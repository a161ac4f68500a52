/**
 * Tasks of the page's main thread, in ms of processor time, which other programs don't lengthen.
 *
 * @param {import("playwright-core").CDPSession} client of the page
 * @returns {Promise<{stop: () => Promise<number[]>}>}
 */
export async function traceTasks(client) {
  const events = [];
  client.on("Tracing.dataCollected", ({ value }) => {
    for (const { name, args, tdur, pid, tid } of value) {
      if (name === "RunTask" && tdur > 0) events.push({ tdur, pid, tid });
      else if (name === "thread_name" && args.name === "CrRendererMain") events.push({ main: true, pid, tid });
    }
  });
  await client.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: { includedCategories: ["disabled-by-default-devtools.timeline"], excludedCategories: ["*"] },
  });
  return {
    async stop() {
      const ended = new Promise((resolve) => client.once("Tracing.tracingComplete", resolve));
      await client.send("Tracing.end");
      await ended;
      const tasks = events
        .filter(({ main }) => main)
        .map(({ pid, tid }) => events.filter((one) => one.pid === pid && one.tid === tid && !one.main).map(({ tdur }) => tdur / 1000));
      return tasks.reduce((a, b) => (total(b) > total(a) ? b : a), []); // a spare renderer does nothing
    },
  };
}

/** Sum of durations. */
export const total = (tasks) => tasks.reduce((a, b) => a + b, 0);

/** The longest of durations, or 0. */
export const longest = (tasks) => tasks.reduce((a, b) => Math.max(a, b), 0);
