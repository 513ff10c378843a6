/** Signatures of what makes a program start again. */
import { defineSignature } from "rebox/lab";
import { isSystemProgram, onAny, onCommand, onWrite } from "./_conditions";

export const signatures = [
  defineSignature({
    ...{ name: "systemd-unit", score: 5, techniques: ["T1543.002"] },
    title: "It makes itself start with the system, by a systemd unit",
    see: onWrite(
      /^\/(etc|run|usr\/lib|lib|usr\/local\/lib)\/systemd\/(system|user)\/.+/,
      /\/\.config\/systemd\/user\/.+/,
    ),
  }),
  defineSignature({
    ...{ name: "systemd-timer", score: 5, techniques: ["T1053.006"] },
    title: "It has systemd start it again and again, by a timer",
    see: onWrite(/\/systemd\/(system|user)\/[^/]+\.timer$/),
  }),
  defineSignature({
    ...{ name: "systemd-generator", score: 8, techniques: ["T1543.002"] },
    title: "It puts a program among systemd's generators, which run at each boot",
    see: onWrite(/\/systemd\/(system|user)-(generators|environment-generators)\/.+/),
  }),
  defineSignature({
    ...{ name: "cron-job", score: 5, techniques: ["T1053.003"] },
    title: "It makes a cron job",
    see: onAny(
      onWrite(/^\/etc\/(crontab|anacrontab|cron\.(d|hourly|daily|weekly|monthly)\/.+)$/, /^\/var\/spool\/cron\/.+/),
      onCommand(/(^|\/)crontab (?!.*-l)/),
    ),
  }),
  defineSignature({
    ...{ name: "at-job", score: 5, techniques: ["T1053.002"] },
    title: "It has a command run later, by at",
    see: onAny(onWrite(/^\/var\/spool\/(at|atjobs|cron\/atjobs)\/.+/), onCommand(/^(\S*\/)?(at|batch) /)),
  }),
  defineSignature({
    ...{ name: "shell-startup", score: 5, techniques: ["T1546.004"] },
    title: "It changes a file that each shell reads when it starts",
    see: onWrite(
      /^\/etc\/(profile|bash\.bashrc|zsh\/.+|profile\.d\/.+|environment)$/,
      /\/\.(bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zprofile|zshenv)$/,
      /\/\.config\/fish\/.+/,
    ),
  }),
  defineSignature({
    ...{ name: "init-script", score: 5, techniques: ["T1037.004"] },
    title: "It makes an init script",
    see: onWrite(/^\/etc\/(rc\.local|rc\d\.d\/.+|init\.d\/.+|inittab|rc\.d\/.+)$/),
  }),
  defineSignature({
    ...{ name: "desktop-autostart", score: 5, techniques: ["T1547.013"] },
    title: "It makes itself start with each desktop session",
    see: onWrite(/\/autostart\/[^/]+\.desktop$/),
  }),
  defineSignature({
    ...{ name: "udev-rule", score: 6, techniques: ["T1546.017"] },
    title: "It has a program run when a device appears, by a udev rule",
    see: onWrite(/^\/(etc|run|lib|usr\/lib)\/udev\/rules\.d\/.+/),
  }),
  defineSignature({
    ...{ name: "motd-script", score: 7, techniques: ["T1037"] },
    title: "It puts a script among those that run at each login (motd)",
    see: onWrite(/^\/etc\/update-motd\.d\/.+/),
  }),
  defineSignature({
    ...{ name: "package-hook", score: 7, techniques: ["T1546.016"] },
    title: "It has a program run at each installation of packages",
    see: onWrite(/^\/etc\/(apt\/apt\.conf\.d|dpkg\/dpkg\.cfg\.d|yum\/pluginconf\.d)\/.+/),
  }),
  defineSignature({
    ...{ name: "modules-load", score: 7, techniques: ["T1547.006"] },
    title: "It has a kernel module loaded at each boot",
    see: onWrite(/^\/etc\/(modules|modules-load\.d\/.+|modprobe\.d\/.+)$/),
  }),
  defineSignature({
    ...{ name: "authorized-keys", score: 7, techniques: ["T1098.004"] },
    title: "It lets the holder of a key log in, by authorized_keys",
    see: onWrite(/\/\.ssh\/(authorized_keys2?|rc|environment)$/),
  }),
  defineSignature({
    ...{ name: "ssh-server-configuration", score: 6, techniques: ["T1556"] },
    title: "It changes how the SSH server lets people in",
    see: onWrite(/^\/etc\/ssh\/(sshd_config(\.d\/.+)?|sshrc)$/),
  }),
  defineSignature({
    ...{ name: "new-user", score: 6, techniques: ["T1136.001"] },
    title: "It makes a user account",
    see: onCommand(/(^|\/)(useradd|adduser|newusers) /),
  }),
  defineSignature({
    ...{ name: "account-files", score: 7, techniques: ["T1136.001", "T1098"] },
    title: "It changes the files of accounts or passwords by itself",
    see: (act) =>
      isSystemProgram(act.doer, /^(useradd|usermod|groupadd|passwd|chpasswd|adduser|newusers|vipw|chage)$/)
        ? undefined
        : onWrite(/^\/etc\/(passwd|shadow|group|gshadow)$/)(act),
  }),
  defineSignature({
    ...{ name: "git-hook", score: 5, techniques: ["T1546"] },
    title: "It puts a program among the hooks of a git repository",
    see: onWrite(/\/\.git\/hooks\/(?!.*\.sample$)[^/]+$/),
  }),
  defineSignature({
    ...{ name: "python-startup", score: 7, techniques: ["T1546.018"] },
    title: "It has code run in each Python program",
    see: onWrite(/\/(site|dist)-packages\/[^/]+\.pth$/, /\/(sitecustomize|usercustomize)\.py$/),
  }),
];
