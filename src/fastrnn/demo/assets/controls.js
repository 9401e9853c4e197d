// The page's controls, native ones of HTML: each with a label, reachable by keyboard, and found by
// its `name`. `kind` says which; values go to the server as they change.

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

const labelled = (model, input) => {
  const id = `control-${model.slug}`
  input.id = id
  input.name = model.slug
  const label = make("label", {for: id}, model.label)
  const follow = () => { input.disabled = model.disabled }
  model.on("disabled", follow)
  follow()
  return label
}

// A small text below a control that explains it, where it has one; screen readers read it too.
const explained = (model, box, inputs) => {
  const hint = make("p", {class: "hint", id: `hint-${model.slug}`})
  const show = () => { hint.textContent = model.hint }
  for (const input of inputs) {
    const others = input.getAttribute("aria-describedby") ?? ""
    input.setAttribute("aria-describedby", `${hint.id} ${others}`.trim())
  }
  model.on("hint", show)
  show()
  box.append(hint)
  return box
}

const KINDS = {
  slider(model) {
    const input = make("input", {type: "range", min: model.start, max: model.end, step: model.step})
    const output = make("output")
    const show = () => {
      input.value = model.value
      output.textContent = Number(model.value).toFixed(model.decimals)
      input.setAttribute("aria-valuetext", output.textContent)
    }
    input.addEventListener("input", () => {
      model.value = Number(input.value)
      show()
    })
    model.on("value", show)
    const label = labelled(model, input)
    show()
    const top = make("div", {class: "top"}, label, output)
    return explained(model, make("div", {class: "control slider"}, top, input), [input])
  },

  choice(model) {
    const input = make("select")
    for (const option of model.options) input.append(make("option", {value: option}, option))
    const show = () => { input.value = model.value }
    input.addEventListener("change", () => { model.value = input.value })
    model.on("value", show)
    show()
    return explained(model, make("div", {class: "control"}, labelled(model, input), input), [input])
  },

  radio(model) {
    const inputs = model.options.map((option) => {
      const input = make("input", {type: "radio", name: model.slug, value: option})
      input.addEventListener("change", () => { model.value = option })
      return input
    })
    const show = () => {
      for (const input of inputs) {
        input.checked = input.value === model.value
        input.disabled = model.disabled
      }
    }
    model.on("value", show)
    model.on("disabled", show)
    show()
    const choices = inputs.map((input) => make("label", {}, input, make("span", {}, input.value)))
    const box = make("fieldset", {class: "control radio"}, make("legend", {}, model.label),
      make("div", {}, ...choices))
    return explained(model, box, [box])
  },

  text(model) {
    const input = make(model.rows > 1 ? "textarea" : "input", {
      autocomplete: "off", autocapitalize: "off", spellcheck: "false",
      "aria-describedby": `message-${model.slug}`,
    })
    if (model.rows > 1) input.rows = model.rows
    else input.type = "text"
    if (model.numeric) input.inputMode = "decimal"
    // Always there, so that screen readers notice when it is filled.
    const message = make("p", {class: "message", id: `message-${model.slug}`, role: "alert"})
    const complain = () => {
      message.textContent = model.message
      if (model.message) input.setAttribute("aria-invalid", "true")
      else input.removeAttribute("aria-invalid")
    }
    input.value = model.text
    // A long text is sent once, when it is done.
    input.addEventListener(model.rows > 1 ? "change" : "input", () => {
      const length = input.value.length
      if (length <= model.longest) model.text = input.value
      model.too_long = length <= model.longest ? 0 : length
    })
    const show = () => {
      if (!model.too_long && input.value !== model.text) input.value = model.text
    }
    model.on("text", show)
    model.on("too_long", show)
    model.on("message", complain)
    complain()
    const box = make("div", {class: "control"}, labelled(model, input), input, message)
    return explained(model, box, [input])
  },

  button(model) {
    const button = make("button", {type: "button", name: model.slug}, model.label)
    if (model.primary) button.classList.add("primary")
    button.addEventListener("click", () => { if (!model.disabled) model.clicks += 1 })
    const show = () => {
      button.textContent = model.label
      // Not `disabled`, which would take the focus from who has just pressed it.
      button.setAttribute("aria-disabled", String(model.disabled))
    }
    model.on("label", show)
    model.on("disabled", show)
    show()
    return button
  },

  checkbox(model) {
    const input = make("input", {type: "checkbox"})
    const show = () => { input.checked = model.value }
    input.addEventListener("change", () => { model.value = input.checked })
    model.on("value", show)
    show()
    const box = make("div", {class: "control checkbox"}, input, labelled(model, input))
    return explained(model, box, [input])
  },

  theme(model) {
    const root = document.documentElement
    const button = make("button", {type: "button", name: "theme"})
    const show = () => { button.textContent = model.dark ? "Switch to light" : "Switch to dark" }
    button.addEventListener("click", () => {
      model.dark = !model.dark
      root.dataset.theme = model.dark ? "dark" : "light"
      document.cookie = `fastrnn-theme=${root.dataset.theme}; path=/; max-age=31536000; SameSite=Strict`
      show()
    })
    // The first page does not know yet what the system prefers.
    if (model.dark !== (root.dataset.theme === "dark")) model.dark = root.dataset.theme === "dark"
    show()
    return button
  },

  markup(model) {
    const text = make("div")
    const show = () => { text.innerHTML = model.object }
    model.on("object", show)
    show()
    return text
  },

  progress(model) {
    const bar = make("progress", {max: 1, "aria-label": model.label})
    const text = make("span")
    const box = make("div", {class: "progress"}, bar, text)
    const show = () => {
      bar.value = model.fraction
      text.textContent = model.text
      box.hidden = !model.running && !model.text
      bar.hidden = !model.running
    }
    for (const name of ["fraction", "text", "running"]) model.on(name, show)
    show()
    return box
  },

  announcer(model) {
    const region = make("div", {class: "unseen", role: "status", "aria-live": "polite"})
    model.on("text", () => { region.textContent = model.text })
    return region
  },
}

export function render({model}) {
  return KINDS[model.kind](model)
}
