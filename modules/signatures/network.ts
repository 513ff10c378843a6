/** Signatures of what reaches other machines. */
import { defineSignature } from "rebox/lab";
import { onAct, onAny, onCommand, onMany } from "./_conditions";

export const signatures = [
  defineSignature({
    ...{ name: "shell-on-connection", score: 9, techniques: ["T1059.004", "T1071"] },
    title: "It gives a shell to somebody in the network",
    see: onCommand(
      /\/dev\/(tcp|udp)\/[^ ]+\/\d+/,
      /\b(nc|ncat|netcat|busybox nc) (.* )?(-e|-c|--exec|--sh-exec)[ =]?\S*/,
      /\bsocat .*(exec|EXEC|system|SYSTEM):/,
      /\bmkfifo .*\|.*\b(nc|telnet|openssl)\b/,
      /(python3?|perl|ruby|php) .*socket.*(dup2|exec|pty\.spawn)/i,
    ),
  }),
  defineSignature({
    ...{ name: "shell-connects", score: 7, techniques: ["T1059.004"] },
    title: "A shell itself connects to another machine",
    see: onAct(
      "network.connected",
      (act) => /\/(ba|da|z|k|c)?sh$/.test(act.doer?.executable ?? "") && !/^(127\.|::1$)/.test(String(act["address"])),
    ),
  }),
  defineSignature({
    ...{ name: "download-and-run", score: 8, techniques: ["T1105", "T1059.004"] },
    title: "It downloads something and runs it at once",
    see: onCommand(/\b(curl|wget|fetch|lwp-download)\b.*(\||&&|;).*\b((ba|da|z)?sh|python3?|perl|chmod)\b/),
  }),
  defineSignature({
    ...{ name: "download", score: 3, techniques: ["T1105"] },
    title: "It downloads a file by a program of the system",
    see: onAct("process.executed", (act) =>
      /\/(curl|wget|tftp|ftp|scp|sftp|rsync|aria2c)$/.test(act.doer?.executable ?? ""),
    ),
  }),
  defineSignature({
    ...{ name: "known-ports", score: 5, techniques: ["T1571"] },
    title: "It connects to a port that back doors and bots like",
    see: onAct("network.connected", (act) =>
      [
        1337, 4444, 4445, 5555, 6660, 6661, 6662, 6663, 6664, 6665, 6666, 6667, 6668, 6669, 6697, 9001, 9050, 12345,
        31337,
      ].includes(Number(act["port"])),
    ),
  }),
  defineSignature({
    ...{ name: "miner-port", score: 6, techniques: ["T1496"] },
    title: "It connects to a port of mining pools",
    see: onAct("network.connected", (act) =>
      [3333, 3334, 3357, 5556, 7777, 14433, 14444, 45560, 45700].includes(Number(act["port"])),
    ),
  }),
  defineSignature({
    ...{ name: "waits-for-connections", score: 3, techniques: ["T1571"] },
    title: "It waits for connections from other machines",
    see: onAct("network.listening", (act) => !/^(127\.|::1$)/.test(String(act["address"]))),
  }),
  defineSignature({
    ...{ name: "many-machines", score: 7, techniques: ["T1046"] },
    title: "It connects to very many machines",
    watch: onMany(
      30,
      (act) =>
        /^network\.(connected|failed)$/.test(act.type) && ![53, 123].includes(Number(act["port"]))
          ? String(act["address"])
          : undefined,
      "addresses were tried",
    ),
  }),
  defineSignature({
    ...{ name: "many-ports", score: 7, techniques: ["T1046"] },
    title: "It tries very many ports of one machine",
    watch: onMany(
      30,
      (act) => (/^network\.(connected|failed)$/.test(act.type) ? `port ${String(act["port"])}` : undefined),
      "ports were tried",
    ),
  }),
  defineSignature({
    ...{ name: "raw-network", score: 5, techniques: ["T1040", "T1046"] },
    title: "It listens to the whole network, or scans it",
    see: onAct("process.executed", (act) =>
      /\/(tcpdump|tshark|nmap|masscan|zmap|hping3|ettercap|arpspoof)$/.test(act.doer?.executable ?? ""),
    ),
  }),
  defineSignature({
    ...{ name: "hidden-network", score: 6, techniques: ["T1090.003", "T1572"] },
    title: "It goes into the network by Tor or a tunnel",
    see: onAny(
      onAct("process.executed", (act) =>
        /\/(tor|torsocks|proxychains4?|chisel|ngrok|frpc)$/.test(act.doer?.executable ?? ""),
      ),
      onCommand(/\bssh .*-(R|D) ?\S*\d/, /\.onion\b/),
    ),
  }),
];
