// The browser's stores, which may be refused, and may be full: what one does not take lasts as long as the page, and who
// keeps something need not ask. Runs before all that keeps anything.
for (const name of ["localStorage", "sessionStorage"]) {
  const store = (() => {
    try {
      return window[name];
    } catch {
      return null; // refused, with the cookies
    }
  })();
  const spare = new Map();
  const kept = {
    getItem: (key) => spare.get(key) ?? store?.getItem(key) ?? null,
    setItem: (key, value) => {
      kept.removeItem(key);
      try {
        store.setItem(key, value);
      } catch {
        spare.set(key, String(value));
      }
    },
    removeItem: (key) => {
      spare.delete(key);
      store?.removeItem(key);
    },
    keys: () => [...Object.keys(store ?? {}), ...spare.keys()],
  };
  Object.defineProperty(window, name, { value: kept });
}
