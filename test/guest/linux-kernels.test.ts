import { listKits } from "./guest-kits";
import { compareGuest } from "./linux-comparison";

for (const kit of listKits()) compareGuest({ name: kit.release, kit });
