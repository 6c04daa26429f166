using System.Text.RegularExpressions;

namespace Tributary.Architecture.Tests;

public sealed partial class SourceRulesTests
{
    const int FileLinesMax = 400;

    [Fact]
    public void Files_stay_readable_in_one_sitting()
    {
        var wrong =
            from file in Repository.Sources("src", "tests", "benchmarks")
            let lines = File.ReadLines(Repository.PathOf(file)).Count()
            where lines > FileLinesMax
            select $"{file} has {lines} lines; at most {FileLinesMax}";

        Finding.None(wrong);
    }

    [Fact]
    public void Nothing_is_folded_away_left_open_or_waited_for_blindly() => Finding.None(
        from file in Repository.Sources("src", "tests", "benchmarks")
        from finding in Findings(file, File.ReadLines(Repository.PathOf(file)))
        select finding);

    [Theory]
    [InlineData("    #region Fields")]
    [InlineData("    Thread.Sleep(10);")]
    [InlineData("    async void OnTick()")]
    [InlineData("    throw new NotImplementedException();")]
    [InlineData("    // TODO: handle this")]
    [InlineData("    await Task.Delay(100);")]
    public void The_rule_sees(string line) => Assert.Single(Findings("Sample.cs", [line]));

    [Theory]
    [InlineData("    await Task.Delay(pause, time, cancellationToken);")]
    [InlineData("    // The region of memory that a sleeping thread holds.")]
    [InlineData("    async Task VoidAsync()")]
    public void The_rule_leaves_alone(string line) => Assert.Empty(Findings("Sample.cs", [line]));

    static IEnumerable<string> Findings(string file, IEnumerable<string> lines) =>
        from line in lines.Select((text, index) => (Text: text, Number: index + 1))
        where !IsAboutTheRule(line.Text) && Unwanted().IsMatch(line.Text)
        select $"{file}:{line.Number}: {line.Text.Trim()}";

    static bool IsAboutTheRule(string line) => line.TrimStart() is var text && (text.StartsWith("[InlineData(", StringComparison.Ordinal) || text.StartsWith("[GeneratedRegex(", StringComparison.Ordinal));

    // A delay of a bare number of milliseconds ignores the clock that a test sets.
    [GeneratedRegex(@"^\s*#region\b|\bThread\.Sleep\(|\basync void\b|\bNotImplementedException\b|//.*\b(TODO|FIXME|HACK|XXX)\b|\bTask\.Delay\(\d+[,)]")]
    private static partial Regex Unwanted();
}
