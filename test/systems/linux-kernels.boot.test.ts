import { listKits } from "../kit/guest-kits";
import { compareGuest } from "../kit/linux-comparison";

for (const kit of listKits()) compareGuest({ name: kit.release, kit });
