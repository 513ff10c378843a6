import { listKits } from "../kit/guests/guest-kits";
import { compareGuest } from "../kit/systems/linux-comparison";

for (const kit of listKits()) compareGuest({ name: kit.release, kit });
