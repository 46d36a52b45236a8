/// Text for a page, whatever it holds.
enum HTML {
    static func text(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\n", "\t": result.unicodeScalars.append(scalar)
            // No document may hold them, and those that turn text around would turn what follows.
            case "\0"..<" ", "\u{7f}"..."\u{9f}", "\u{202a}"..."\u{202e}", "\u{2066}"..."\u{2069}":
                result += "\u{fffd}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    /// A whole page that needs nothing from outside, for the screen and for paper.
    static func page(title: String, style: String = "", landscape: Bool = true, _ body: String)
        -> String
    {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
        <title>\(text(title))</title>
        <style>
        @page { size: A4 \(landscape ? "landscape" : "portrait"); margin: 14mm 12mm 16mm;
          @bottom-right { content: counter(page) " / " counter(pages); font: 8pt sans-serif; color: #555 } }
        body { font: 15px/1.45 "DejaVu Sans", "Noto Sans", sans-serif; color: #16211f; background: #fff;
          max-width: 75rem; margin: 1.5rem auto; padding: 0 1rem }
        h1 { font-size: 1.7em; margin: 0 0 .2em } h2 { font-size: 1.2em; margin: 1.8em 0 .4em }
        p { margin: .3em 0 } .state { font-weight: 600 } .quiet { color: #4d5b58 }
        table { border-collapse: collapse; width: 100% } thead { display: table-header-group }
        th { text-align: left; background: #e6eef2; vertical-align: bottom }
        th, td { padding: .25em .5em; border: 1px solid #c3cdd1 } td { vertical-align: top }
        tr { break-inside: avoid } .number { text-align: right; font-variant-numeric: tabular-nums }
        .time { white-space: nowrap; font-variant-numeric: tabular-nums }
        .open { background: #ffe9b8; font-weight: 600 }
        .long { overflow-wrap: anywhere; font: .72em/1.4 "DejaVu Sans Mono", monospace }
        svg { max-width: 100%; height: auto } .scroll { overflow-x: auto }
        @media print { body { font-size: 8.5pt; margin: 0; padding: 0; max-width: none } .scroll { overflow: visible }
          h2 { break-after: avoid } figure { break-inside: avoid } }
        figure { margin: .6em 0 }
        \(style)
        </style>
        </head>
        <body>
        \(body)
        </body>
        </html>

        """
    }
}
