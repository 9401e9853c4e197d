// Tables of native fields. The server sends `tables` (names), `texts` (what stands in the fields)
// and `messages`; a change in a field sends all texts back, so that none of two quick ones is lost.

const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value)
  element.append(...children)
  return element
}

export function render({model}) {
  const box = make("div", {class: "tables"})
  let fields = []

  const at = (values, i, j, k) => values[i]?.[j]?.[k] ?? ""

  const send = () => {
    const texts = model.texts.map((table) => table.map((row) => [...row]))
    for (const {i, j, k, input} of fields) if (texts[i]?.[j]?.[k] !== undefined) texts[i][j][k] = input.value
    model.texts = texts
  }

  const field = (table, i, j, k) => {
    const name = `number-${i}-${j}-${k}`
    const place = [table.rows[j], table.columns[k]].filter(Boolean).join(", ")
    const input = make("input", {
      type: "text", inputmode: "decimal", autocomplete: "off", spellcheck: "false", name,
      "aria-label": `${table.symbol}[${place}]`, "aria-describedby": `message-${name}`,
    })
    input.addEventListener("input", send)
    const message = make("p", {class: "message", id: `message-${name}`, role: "alert"})
    fields.push({i, j, k, input, message})
    return make("td", {}, input, message)
  }

  const draw = () => {
    fields = []
    box.replaceChildren(...model.tables.map((table, i) => {
      const caption = make("caption", {}, make("b", {}, table.symbol), ` ${table.title}`)
      const named = table.columns.some(Boolean)
      const head = make("tr", {}, make("td"), ...table.columns.map((name) => make("th", {scope: "col"}, name)))
      const rows = table.rows.map((row, j) => make(
        "tr", {}, make("th", {scope: "row"}, row), ...table.columns.map((_, k) => field(table, i, j, k)),
      ))
      return make("table", {}, caption, ...(named ? [make("thead", {}, head)] : []), make("tbody", {}, ...rows))
    }))
    fill()
    complain()
  }

  const fill = () => {
    for (const {i, j, k, input} of fields) {
      const text = at(model.texts, i, j, k)
      if (input.value !== text) input.value = text
    }
  }

  const complain = () => {
    for (const {i, j, k, input, message} of fields) {
      message.textContent = at(model.messages, i, j, k)
      if (message.textContent) input.setAttribute("aria-invalid", "true")
      else input.removeAttribute("aria-invalid")
    }
  }

  model.on("tables", draw)
  model.on("texts", fill)
  model.on("messages", complain)
  draw()
  return box
}
