using System.Text.RegularExpressions;

namespace Tributary.EndToEnd.Tests.Support;

/// <summary>What README.md tells a reader to type, taken from its code blocks, so that the tests follow it word by word.</summary>
static partial class Readme
{
    static readonly string Text = File.ReadAllText(Path.Combine(TributaryProgram.RepositoryRoot, "README.md"));

    /// <summary>The only block of a language that holds a text.</summary>
    public static string Block(string language, string holding) =>
        Assert.Single(Blocks().Matches(Text), match => match.Groups["language"].Value == language && match.Groups["body"].Value.Contains(holding, StringComparison.Ordinal)).Groups["body"].Value;

    /// <summary>The only command line that begins so, without its comment.</summary>
    public static string Command(string start)
    {
        var line = Assert.Single(Blocks().Matches(Text).Where(match => match.Groups["language"].Value == "sh").SelectMany(match => match.Groups["body"].Value.Split('\n')), line => line.StartsWith(start, StringComparison.Ordinal));
        return Comment().Replace(line, "");
    }

    [GeneratedRegex("^```(?<language>[a-z]+)\n(?<body>.*?)^```", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Blocks();

    [GeneratedRegex(@"\s+# .*$")]
    private static partial Regex Comment();
}
