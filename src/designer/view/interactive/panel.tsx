// What there is to know of one box: description, state, ports, parameters, and the code that reads an output.

import { useState, type RefObject } from "react";

import { FINISHED, type Box, type Port, type State } from "./data";

interface Shown {
  box: Box;
  status: string;
  look?: State;
  reading: string; // the output whose code is shown
  onRead: (port: string) => void;
  onClose: () => void;
  heading: RefObject<HTMLHeadingElement | null>;
}

export function Panel({ box, status, look, reading, onRead, onClose, heading }: Shown) {
  const canRead = FINISHED.includes(status);
  return (
    <aside className="dg-panel" role="region" aria-label={`${box.title}, ${box.kind} ${box.name}`}>
      <button className="dg-close" onClick={onClose} aria-label="Close">
        ×
      </button>
      <h4 ref={heading} tabIndex={-1}>
        {box.title}
      </h4>
      <p className="dg-what">
        {box.kind === "step" ? `${box.name} · ${box.what}` : box.what}
        {status && <span style={{ background: look?.colour }}>{`${look?.mark}${status}`}</span>}
        {box.change && <span>{box.change}</span>}
      </p>
      {box.description && <p>{box.description}</p>}
      {box.settings.length > 0 && <Parameters box={box} />}
      <Ports title="Input ports" ports={box.inputs.filter((port) => port.name)} />
      <Ports
        title="Output ports"
        ports={box.outputs.filter((port) => port.name)}
        reading={reading}
        onRead={canRead ? onRead : undefined}
      />
    </aside>
  );
}

function Parameters({ box }: { box: Box }) {
  return (
    <>
      <h5 id={`parameters-of-${box.name}`}>Parameters</h5>
      <dl aria-labelledby={`parameters-of-${box.name}`}>
        {box.settings.map(({ name, value, isDefault, description }) => (
          <div key={name} title={description}>
            <dt>{name}</dt>
            <dd>
              <code>{value}</code>
              {isDefault && <small> default</small>}
            </dd>
          </div>
        ))}
      </dl>
    </>
  );
}

interface ShownPorts {
  title: string;
  ports: Port[];
  reading?: string;
  onRead?: (port: string) => void;
}

function Ports({ title, ports, reading, onRead }: ShownPorts) {
  if (!ports.length) return null;
  return (
    <>
      <h5>{title}</h5>
      <ul>
        {ports.map((port) => (
          <li key={port.name}>
            <b>{port.name}</b>: {port.carries}
            {port.gets.length > 0 && ` from ${port.gets.join(", ")}`}
            {port.optional && " (may stay unconnected)"}
            {port.description && <small> {port.description}</small>}
            {onRead && port.reads && (
              <button
                aria-expanded={reading === port.name}
                onClick={() => onRead(reading === port.name ? "" : port.name)}
              >{`Read ${port.name} in a cell`}</button>
            )}
            {onRead && reading === port.name && <Code text={port.reads} />}
          </li>
        ))}
      </ul>
    </>
  );
}

function Code({ text }: { text: string }) {
  const [copied, setCopied] = useState("");
  const copy = () =>
    navigator.clipboard.writeText(text).then(
      () => setCopied("Copied"),
      () => setCopied("The browser does not let it be copied: select the text"),
    );
  return (
    <div className="dg-code">
      <pre tabIndex={0} aria-label="Code that reads it">
        {text}
      </pre>
      <button onClick={copy}>Copy</button>
      <span role="status">{copied}</span>
    </div>
  );
}
