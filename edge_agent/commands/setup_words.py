"""What `tapgate-edge setup` says and asks, in both languages."""

from edge_agent.checks import Said

AS_ROOT = Said("要改系統的設定，請用 sudo 再執行一次", "this changes the system: run it again with sudo")
NO_CONFIG = Said("設定檔有錯，先改好它：{why}", "the settings file is wrong, mend it first: {why}")
KEEP = Said("設定檔裡已有讀卡機：{names}。繼續使用嗎？", "The settings name these readers: {names}. Keep them?")
FOUND = Said("找到這些讀卡機：", "These readers were found:")
CHOOSE = Said("要用哪一台？（號碼）", "Which one? (number)")
OTHER = Said("其他（自己輸入）", "another (typed in)")
TYPE_IN = Said(
    "讀卡機（pcsc、pcsc:名稱、nfc:路徑、simulated:檔案）", "Reader (pcsc, pcsc:NAME, nfc:PATH, simulated:FILE)"
)
NONE_FOUND = Said(
    "沒有找到讀卡機。接上後再執行一次，或用 --reader 指定。`tapgate-edge doctor` 會說可能的原因。",
    "No reader was found. Plug one in and run this again, or name it with --reader; `tapgate-edge doctor` says why it "
    "may be missing.",
)
SEVERAL = Said(
    "找到好幾台讀卡機，請用 --reader 指定一台：{names}", "several readers were found; name one with --reader: {names}"
)
TRY = Said("要試一張卡嗎？", "Try a card?")
AGAIN = Said("再試一次？", "Try again?")
NO_CARD = Said("沒有卡片", "no card")
AGENT_RUNS = Said("閘門程式正在使用讀卡機，略過試卡", "the agent is using the reader: no card is tried")
UNIT = Said("要設成開機自動啟動嗎？", "Start it at every boot?")
SCREEN = Said("這台有螢幕，要開機就顯示全螢幕頁面嗎？", "Is there a screen, to show the kiosk page at every boot?")
OVERWRITE = Said(
    "{path} 會改寫（原檔留在 {path}.old）。繼續嗎？", "{path} will be changed (the old one stays as {path}.old). Go on?"
)
TOKEN = Said("貼上加入碼（空白＝以後再做）", "Paste the join token (empty: later)")
JOINED = Said("已加入中央：{device}，閘門 {gate}", "joined central already: {device}, gate {gate}")
JOIN = Said("加入中央", "join central")
NOT_JOINED = Said(
    "還沒有加入中央。拿到加入碼後再執行一次。", "Not joined yet: run this again once you have a join token."
)
WORDS = Said(
    "請管理者比對這組字，與中央顯示的一樣才確認：", "An operator compares these words with what central shows:"
)
SETTINGS = Said("設定檔 {path}", "settings {path}")
WAITING = Said(
    "等待管理者確認……（Ctrl-C 結束等待，之後照樣可以確認）",
    "Waiting for the confirmation … (Ctrl-C stops waiting only)",
)
CONFIRMED = Said("管理者已確認。", "An operator has confirmed.")
NOT_CONFIRMED = Said("還沒確認；確認後閘門會自己繼續。", "Not confirmed yet; the gate goes on by itself once it is.")
STOPPED = Said(
    "已中止。已完成的都是完整的，再執行一次會接下去做。", "Stopped. What was done is whole; run it again to go on."
)
CHANGED_NOTHING = Said("一切都已就緒，沒有變更。", "Everything was in place; nothing was changed.")
DRY = Said("以上是會做的事，什麼都沒有變更。", "That is what would be done; nothing was changed.")
DONE = Said("完成", "done")
IN_PLACE = Said("已就緒", "in place")
WOULD = Said("會做", "would do")
NO_PCSCD = Said(
    "沒有 pcscd，請先安裝：sudo apt install pcscd libccid",
    "there is no pcscd; install it first: sudo apt install pcscd libccid",
)
NO_BROWSER = Said(
    "全螢幕頁面需要的程式還沒裝：sudo apt install cage chromium fonts-noto-cjk",
    "what shows the page is not installed: sudo apt install cage chromium fonts-noto-cjk",
)
NEXT_BOOT = Said("螢幕頁面會在下次開機時出現：sudo reboot", "The screen comes with the next boot: sudo reboot")
HOME = Said(
    "{program} 在家目錄下，服務不能使用；請裝在 /opt/tapgate",
    "{program} lies below a home directory, where a service cannot use it: install it in /opt/tapgate",
)
