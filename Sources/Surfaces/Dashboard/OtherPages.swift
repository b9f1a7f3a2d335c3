import AuditReport
import Vocabulary

/// Asks once more before something is done.
struct ConfirmationPage {
    var question: String
    /// What will happen, sentence by sentence.
    var consequences: [String]
    var button: String
    var isGrave = false
    /// Where to post, and where to go back to.
    var address: String
    var back: String
    let visitor: Visitor

    func html() -> String {
        let content: Markup = """
            <section class="card"><h1>\(question)</h1>
            <ul class="reasons">\(consequences.map { "<li>\($0)</li>\n" as Markup })<li>The ledger will say that \(visitor.name) did it.</li></ul>
            <form method="post" action="\(address)" class="choice"><button type="submit" class="button \(isGrave ? "grave" : "chief")">\(button)</button> <a class="button" href="\(back)">Leave it as it is</a></form>
            </section>
            """
        return Frame(title: question, visitor: visitor).page(content)
    }
}

/// Takes a token.
struct LogInPage {
    var next: String
    /// A token was given, and the manager does not know it.
    var wasRefused: Bool

    func html() -> String {
        let refusal: Markup =
            wasRefused ? "<p class=\"notice bad\" role=\"alert\">This token is not known here, or is not valid any more.</p>\n" : .none
        let content: Markup = """
            <section class="card narrow"><h1>Log in</h1>
            \(refusal)<p>The manager asks for a token. An operator makes them.</p>
            <form method="post" action="/login"><input type="hidden" name="next" value="\(next)"/>
            <p><label for="token">Token</label><input id="token" name="token" type="password" autocomplete="current-password" required="required" autofocus="autofocus"/></p>
            <p><button type="submit" class="button chief">Log in</button></p></form>
            </section>
            """
        return Frame(title: "Log in").page(content)
    }
}

/// Says why not.
struct ErrorPage {
    var title: String
    var messages: [String]
    let visitor: Visitor?

    func html() -> String {
        let content: Markup = """
            <section class="card"><h1>\(title)</h1>
            \(messages.map { "<p>\($0)</p>\n" as Markup })<p><a href="/">To the fleet</a></p>
            </section>
            """
        return Frame(title: title, visitor: visitor).page(content)
    }
}
