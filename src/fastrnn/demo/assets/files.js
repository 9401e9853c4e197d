// A file that the reader hands over: read here, sent in base64.

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

export function render({model}) {
  const id = `control-${model.slug}`
  const input = make("input", {
    type: "file", id, name: model.slug, accept: model.accept,
    "aria-describedby": `hint-${model.slug} message-${model.slug}`,
  })
  const message = make("p", {class: "message", id: `message-${model.slug}`, role: "alert"})
  const complain = (text) => {
    message.textContent = text
    if (text) input.setAttribute("aria-invalid", "true")
    else input.removeAttribute("aria-invalid")
  }
  input.addEventListener("change", async () => {
    const file = input.files[0]
    if (!file) return
    if (file.size > model.limit) {
      const [has, most] = [file.size, model.limit].map((bytes) => (bytes / 1e6).toFixed(1))
      complain(`The file has ${has} MB; at most ${most} MB can be read here.`)
      return
    }
    const reader = new FileReader()
    reader.onerror = () => complain("The browser cannot read this file.")
    // One change for both: a counter tells a file from the same one chosen again.
    reader.onload = () => {
      model.sent = [file.name, reader.result.split(",")[1] ?? "", String(Date.now())]
    }
    reader.readAsDataURL(file)
  })
  // The field goes on showing the file's name, and the same file can be chosen once more.
  input.addEventListener("click", () => { input.value = "" })
  model.on("message", () => complain(model.message))
  complain(model.message)
  const hint = make("p", {class: "hint", id: `hint-${model.slug}`}, model.hint)
  const label = make("label", {for: id}, model.label)
  return make("div", {class: "control"}, label, input, message, hint)
}
