// Gradio's editor colours code by rules that it makes as it goes, some with a contrast below 3. Each gets one of ours.

const CODE_COLOURS = {
  "94, 129, 172": "keyword", // the palette of its light theme (Nord)
  "129, 161, 193": "keyword",
  "208, 135, 112": "string",
  "163, 190, 140": "string",
  "143, 188, 187": "name",
  "136, 192, 208": "name",
  "235, 203, 139": "number",
  "180, 142, 173": "number",
  "191, 97, 106": "number",
  "128, 128, 128": "comment", // of its dark theme
};
forEvery(".cm-editor", () => {
  for (const sheet of [...document.adoptedStyleSheets, ...document.styleSheets]) {
    if (!sheet.ownerNode?.textContent.includes(".ͼ")) continue;
    for (const rule of sheet.cssRules) {
      const colour = CODE_COLOURS[/^rgb\((.*)\)$/.exec(rule.style?.color)?.[1]];
      if (colour) rule.style.color = `var(--code-${colour})`;
    }
  }
});
