// The Course tab: files are sent one by one; what became of each stands below the button.
(() => {
  const find = (selector) => document.querySelector(selector);
  let busy = false;

  function say(text, kind) {
    const line = document.createElement("li");
    line.className = kind || "";
    line.textContent = text;
    find("#upload-said").append(line);
    return line;
  }

  async function send(name, path, options, line) {
    let reply;
    try {
      reply = await fetch(path, options);
    } catch {
      line.textContent += " No answer: is the server still running? Nothing is lost; try again.";
      line.className = "problem";
      return 0;
    }
    const said = (await reply.text()).trim();
    line.textContent = reply.ok || said.startsWith(name) ? said : `${name} is not added: ${said}`;
    line.className = reply.ok ? "" : "problem";
    return reply.status;
  }

  function offer(line, file) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Replace ${file.name}`;
    button.addEventListener("click", () => {
      if (busy) return;
      line.remove();
      add([file], "&replace=yes");
    });
    line.append(" ", button);
  }

  async function add(files, query) {
    busy = true;
    find("#upload-add").disabled = true;
    let added = false;
    for (const file of files) {
      const line = say(`${file.name} is being read…`, "working");
      // The server would not read it to the end, and the browser not its answer.
      if (file.size > Number(find("#upload-files").dataset.most)) {
        line.textContent = `${file.name} is not added: it is larger than ${find("#upload-files").dataset.most / 1e6} MB.`;
        line.className = "problem";
        continue;
      }
      const options = { method: "PUT", body: file, headers: { "Content-Type": "application/octet-stream" } };
      const status = await send(file.name, `files/add?name=${encodeURIComponent(file.name)}${query}`, options, line);
      added = added || status === 201;
      if (status === 409) offer(line, file);
    }
    if (added) {
      const options = { method: "POST", body: "{}", headers: { "Content-Type": "application/json" } };
      await send("The course", "files/read", options, say("The search index is being renewed…", "working"));
      find("#course-refresh")?.click();
    }
    busy = false;
    find("#upload-add").disabled = false;
  }

  document.addEventListener("click", (event) => {
    if (!event.target.closest("#upload-add") || busy) return;
    const box = find("#upload-files");
    find("#upload-said").replaceChildren();
    if (!box.files.length) say("Choose a file first.", "problem");
    else add([...box.files], "").then(() => { box.value = ""; });
  });
})();
