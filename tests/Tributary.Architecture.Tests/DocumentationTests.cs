using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Tributary.Architecture.Tests;

/// <summary>What the documents name exists, so that they cannot describe a product that has moved on.</summary>
public sealed partial class DocumentationTests
{
    static readonly string[] Documents =
    [
        "README.md", "ARCHITECTURE.md", "CONTRIBUTING.md",
        .. Directory.EnumerateFiles(Repository.PathOf("docs"), "*.md", SearchOption.AllDirectories).Select(file => Path.GetRelativePath(Repository.Root, file)),
    ];

    [Fact]
    public void Every_path_that_a_document_names_exists()
    {
        var wrong =
            from document in Documents
            from Match match in CodePath().Matches(Repository.Read(document))
            let path = match.Groups["path"].Value
            where !Repository.Exists(path)
            select $"{document} names {path}";

        Finding.None(wrong);
    }

    [Fact]
    public void Every_type_that_the_architecture_names_exists()
    {
        var declared = Repository.Sources("src", "tests", "benchmarks")
            .SelectMany(file => Declaration().Matches(File.ReadAllText(Repository.PathOf(file))))
            .Select(match => match.Groups["name"].Value)
            .ToHashSet();

        var wrong = TypeName().Matches(Repository.Read("ARCHITECTURE.md")).Select(match => match.Groups["name"].Value).Where(name => !declared.Contains(name));

        Finding.None(wrong);
    }

    [Fact]
    public void Every_link_leads_somewhere()
    {
        var wrong =
            from document in (string[])[.. Documents, "CHANGELOG.md"]
            from Match match in RelativeLink().Matches(Repository.Read(document))
            let target = Path.Combine(Path.GetDirectoryName(document)!, match.Groups["path"].Value)
            where !Repository.Exists(target)
            select $"{document} links to {match.Groups["path"].Value}";

        Finding.None(wrong);
    }

    [Fact]
    public void Every_script_that_a_document_calls_can_be_run()
    {
        var scripts = Documents.SelectMany(document => Script().Matches(Repository.Read(document))).Select(match => match.Groups["name"].Value).Distinct().ToList();

        Assert.Contains("demo", scripts);
        Assert.All(scripts, script => Assert.True(File.GetUnixFileMode(Repository.PathOf(script)).HasFlag(UnixFileMode.UserExecute), script));
    }

    [Fact]
    public void Every_test_that_a_claim_about_security_rests_on_exists()
    {
        var declared = Repository.Sources("tests")
            .SelectMany(file => TestMethod().Matches(File.ReadAllText(Repository.PathOf(file))).Select(match => $"{Path.GetFileNameWithoutExtension(file)}.{match.Groups["name"].Value}"))
            .ToHashSet();

        var named = TestName().Matches(Repository.Read("docs/security.md")).Select(match => match.Groups["name"].Value).Distinct().ToList();

        Assert.NotEmpty(named);
        Finding.None(named.Where(name => !declared.Contains(name)).Select(name => $"docs/security.md names {name}"));
    }

    [Fact]
    public async Task Every_command_that_a_document_shows_is_one_of_the_program()
    {
        var commands = Documents.SelectMany(document => Command().Matches(Repository.Read(document)))
            .Select(match => match.Groups["words"].Value.Trim()).Distinct().ToList();

        Assert.Contains("up", commands);
        foreach (var command in commands)
        {
            var help = await HelpAsync(command);

            // For words that are no command, the help is that of the last word that was one.
            Assert.True(help.Split('\n').Any(line => Regex.IsMatch(line, $@"\btributary {Regex.Escape(command)}\b")), $"'tributary {command}' is not a command; its help says:\n{help}");
        }
    }

    static async Task<string> HelpAsync(string command)
    {
        // ./test names the native binary; a test that is run by itself has the one that it was built with.
        var native = Environment.GetEnvironmentVariable("TRIBUTARY_BINARY");
        string[] arguments = [.. command.Split(' '), "--help"];
        var start = native is null
            ? new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "tributary.dll"), .. arguments])
            : new ProcessStartInfo(native, arguments);
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        var output = await process.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        return output + await error;
    }

    // In back-quotes, and below a folder of the repository; "{A,B}" and "*" stand for several and are not read.
    [GeneratedRegex(@"`(?<path>(src|tests|benchmarks|eng|docs|\.ci)/[\w./-]+)`")]
    private static partial Regex CodePath();

    [GeneratedRegex(@"`(?<name>I?[A-Z][a-z]+(?:[A-Z][a-z]*)+)(?:\.\w+)?`")]
    private static partial Regex TypeName();

    // A class of tests and one of its sentences.
    [GeneratedRegex(@"`(?<name>\w+Tests\.[A-Z]\w+)`")]
    private static partial Regex TestName();

    // A test that one class has is in the file of its name.
    [GeneratedRegex(@"\bpublic (?:async Task|Task|void) (?<name>[A-Z]\w*)\(")]
    private static partial Regex TestMethod();

    [GeneratedRegex(@"\b(?:class|record|record struct|struct|interface|enum) (?<name>[A-Z]\w*)")]
    private static partial Regex Declaration();

    [GeneratedRegex(@"\]\((?!https?://|#|mailto:)(?<path>[^)#\s]+)")]
    private static partial Regex RelativeLink();

    [GeneratedRegex(@"(?:^|[`\s])\./(?<name>[a-z]+)\b", RegexOptions.Multiline)]
    private static partial Regex Script();

    // A line of an example, or a command in back-quotes. Words end at an option, a value in capitals or an argument that a person chooses.
    [GeneratedRegex(@"(?:^|`)tributary (?<words>(?:connect|up|down|demo|status|doctor|cost|destroy|completion)\b|(?:stream|branch) [a-z]+)", RegexOptions.Multiline)]
    private static partial Regex Command();
}
