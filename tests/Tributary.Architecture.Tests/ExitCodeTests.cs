using System.Text.RegularExpressions;

namespace Tributary.Architecture.Tests;

/// <summary>Callers rely on the exit codes by the page that lists them.</summary>
public sealed partial class ExitCodeTests
{
    [Fact]
    public void The_page_lists_every_exit_code_and_no_other()
    {
        var declared = Constant().Matches(Repository.Read("src/Tributary.Cli/ExitCodes.cs")).Select(match => match.Groups["code"].Value);
        var listed = TableRow().Matches(Repository.Read("docs/operations.md")).Select(match => match.Groups["code"].Value);

        Assert.Equal(declared, listed);
    }

    [GeneratedRegex(@"const int \w+ = (?<code>\d+);")]
    private static partial Regex Constant();

    [GeneratedRegex(@"^\| (?<code>\d+) \|", RegexOptions.Multiline)]
    private static partial Regex TableRow();
}
