// Lets the visitor pick a CSV file, sends it, and hands on what became of it in place of the first value. An event
// whose picker is closed without a file ends in a promise that is never kept.
(...values) => new Promise((send) => {
  const answer = (outcome) => send([JSON.stringify(outcome), ...values.slice(1)]);
  const upload = async (file) => {
    if (file.size > LIMIT_BYTES) return { problem: "TOO_LARGE" };
    try {
      const headers = { "content-type": "text/csv", "x-file-name": encodeURIComponent(file.name) };
      const response = await fetch("UPLOAD_PATH", { method: "POST", body: file, headers });
      const { id, detail } = await response.json();
      return id ? { id } : { problem: String(detail || "") };
    } catch {
      return { problem: "" };
    }
  };
  const input = Object.assign(document.createElement("input"), { type: "file", accept: ".csv" });
  input.addEventListener("change", async () => answer(await upload(input.files[0])));
  window.tablePicker = input; // kept, or a browser may collect it while its dialog is open
  input.click();
})
