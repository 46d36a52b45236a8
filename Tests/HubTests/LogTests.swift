import Hub
import Logging
import Testing

@Suite("The hub's log")
struct LogTests {
    @Test func `An event is one line with its time, level, name and values in order`() {
        let lines = Lines()
        lines.logger().info("sealed", metadata: ["scope": "delegation/KZ", "count": "3"])
        #expect(
            lines.all == [
                """
                time=2026-09-30T08:00:00.123Z level=info event=sealed count=3 \
                scope=delegation/KZ

                """
            ])
    }

    @Test func `No value makes a second line or another key`() {
        let lines = Lines()
        var logger = lines.logger()
        logger[metadataKey: "name"] =
            "Aygün \"A\"\ntime=0 level=error event=forged\u{2028}\u{202e}\u{1b}"
        logger.warning("odd\nevent", metadata: ["a b=": "x=y", "level": "fake", "empty": ""])
        #expect(
            lines.all == [
                #"time=2026-09-30T08:00:00.123Z level=warning event="odd\nevent" "#
                    + #"a_b_="x=y" empty="" level_=fake "#
                    + #"name="Aygün \"A\"\ntime=0 level=error event=forged\u{2028}\u{202e}\u{1b}""#
                    + "\n"
            ])
    }

    @Test func `A value is cut at 512 bytes`() {
        let lines = Lines()
        lines.logger().info("long", metadata: ["value": "\(String(repeating: "ə", count: 400))"])
        #expect(lines.all[0].hasSuffix(#" value=""# + String(repeating: "ə", count: 256) + "…\"\n"))
    }

    @Test func `What is below the level is left out`() {
        let lines = Lines()
        lines.logger(level: .warning).info("quiet")
        #expect(lines.all.isEmpty)
    }
}
