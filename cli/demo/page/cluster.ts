/** The nodes and the engine, each with a button that kills it. */

interface Member {
  readonly name: string;
  readonly state: "away" | "starting" | "ready";
  readonly starts: number;
}
interface Node extends Member {
  readonly leads: boolean;
  readonly pages: number;
}
interface Cluster {
  readonly nodes: readonly Node[];
  readonly engine: Member & { readonly version: string };
}

function cardOf(host: HTMLElement, name: string): HTMLElement {
  const found = host.querySelector<HTMLElement>(`#${name}`);
  if (found) return found;
  const card = document.createElement("article");
  card.id = name;
  card.className = "node";
  const title = document.createElement("strong");
  title.textContent = name;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Kill";
  button.setAttribute("aria-label", `Kill ${name}`);
  button.addEventListener("click", () => {
    button.disabled = true;
    fetch(`/demo/kill/${name}`, { method: "POST" }).catch(() => {
      // The next look shows what became of it.
    });
  });
  const note = document.createElement("p");
  note.className = "note";
  card.append(title, button, note);
  host.append(card);
  return card;
}

function showCard(host: HTMLElement, { name, state, starts }: Member, facts: string[]): void {
  const card = cardOf(host, name);
  card.dataset.state = state;
  card.querySelector("button")!.disabled = state === "away";
  const life = starts > 1 ? [`start ${starts}`] : [];
  const text = [state, ...facts, ...life].join(" · ");
  const note = card.querySelector("p")!;
  if (note.textContent !== text) note.textContent = text;
}

/** Asks for their state and shows it in `host`. */
export async function showCluster(host: HTMLElement): Promise<void> {
  const { nodes, engine } = (await (await fetch("/demo/cluster")).json()) as Cluster;
  for (const node of nodes) {
    const pages = `${node.pages} ${node.pages === 1 ? "page" : "pages"}`;
    const leads = node.leads ? ["dequeues"] : [];
    showCard(host, node, node.state === "away" ? [] : [pages, ...leads]);
  }
  showCard(host, engine, [engine.version]);
}
