// Light or dark, as the system has it or as the visitor chose; remembered.

const applyLook = (look) => document.body.classList.toggle("dark", look === "dark");
const chosenLook = localStorage.getItem("look");
if (chosenLook) applyLook(chosenLook);
const switchLook = () => {
  const look = document.body.classList.contains("dark") ? "light" : "dark";
  localStorage.setItem("look", look);
  applyLook(look);
};
