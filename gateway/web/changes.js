// After each write the page shows the state after it.

let refresh = async () => {};

export function onChange(work) {
  refresh = work;
}

// What a write answers, once the page shows what came of it. A refusal, too, tells of a state that is news.
export async function changed(write) {
  try {
    return await write;
  } finally {
    await refresh().catch(() => {});
  }
}
