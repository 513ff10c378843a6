/** Signatures of what disables protection and auditing. */
import { defineSignature } from "rebox/lab";
import { onAny, onCommand, onWrite } from "./_conditions";

export const signatures = [
  defineSignature({
    ...{ name: "firewall-off", score: 7, techniques: ["T1562.004"] },
    title: "It opens the firewall, or ends it",
    see: onCommand(
      /\b(ufw disable|(iptables|ip6tables) (.* )?(-F|--flush|-P \w+ ACCEPT)|nft flush ruleset|systemctl (stop|disable|mask).*(firewalld|ufw|nftables))/,
    ),
  }),
  defineSignature({
    ...{ name: "security-module-off", score: 8, techniques: ["T1562.001"] },
    title: "It turns SELinux or AppArmor off",
    see: onAny(
      onCommand(/\b(setenforce 0|aa-teardown|aa-disable|apparmor_parser -R)\b/),
      onWrite(/^\/(etc\/selinux\/config|sys\/fs\/selinux\/enforce|sys\/kernel\/security\/apparmor\/\.remove)$/),
    ),
  }),
  defineSignature({
    ...{ name: "auditing-off", score: 8, techniques: ["T1562.012", "T1562.006"] },
    title: "It ends auditing or logging",
    see: onCommand(
      /\b(auditctl (-e ?0|-D)|(systemctl|service) .*(stop|disable|mask).*(auditd|rsyslog|syslog|journald)|(service (auditd|rsyslog|syslog) stop)|pkill .*(auditd|rsyslogd|syslogd))/,
    ),
  }),
  defineSignature({
    ...{ name: "kernel-protection-off", score: 6, techniques: ["T1562.001"] },
    title: "It turns protections of the kernel off",
    see: onAny(
      onWrite(
        /^\/proc\/sys\/kernel\/(randomize_va_space|kptr_restrict|yama\/ptrace_scope|dmesg_restrict|modules_disabled)$/,
      ),
      onCommand(/sysctl .*(randomize_va_space=0|ptrace_scope=0|kptr_restrict=0)/),
    ),
  }),
  defineSignature({
    ...{ name: "hosts-file", score: 5, techniques: ["T1565.001"] },
    title: "It changes which address a name leads to",
    see: onWrite(/^\/etc\/(hosts|resolv\.conf|nsswitch\.conf)$/),
  }),
  defineSignature({
    ...{ name: "trusted-certificate", score: 7, techniques: ["T1553.004"] },
    title: "It makes the system trust a certificate",
    see: onAny(
      onWrite(/^\/(usr\/local\/share\/ca-certificates|etc\/pki\/ca-trust\/source\/anchors|etc\/ssl\/certs)\/.+/),
      onCommand(/update-ca-(certificates|trust)/),
    ),
  }),
  defineSignature({
    ...{ name: "login-module", score: 8, techniques: ["T1556.003"] },
    title: "It changes how passwords are checked (PAM)",
    see: onWrite(/^\/etc\/pam\.d\/.+/, /\/security\/pam_\w+\.so$/),
  }),
];
