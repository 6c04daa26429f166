using Tributary.Postgres.Programs;

namespace Tributary.EndToEnd.Tests.Support;

/// <summary>The published native binary. Nothing of the product is called but this program.</summary>
static class TributaryProgram
{
    /// <summary>The binary that <c>./test</c> has built, or the one in this clone.</summary>
    public static string Binary { get; } = Find();

    /// <summary>The root of the repository that this test was built from.</summary>
    public static string RepositoryRoot => Root();

    /// <summary>How to start it. The signals of a terminal get their own meaning back: a shell takes them from what it runs in the background.</summary>
    public static ChildProcessSpec Spec(IReadOnlyList<string> arguments) => new("env", ["--default-signal=INT,QUIT", Binary, .. arguments]);

    /// <summary>Runs one command to its end.</summary>
    public static Task<ChildProcessResult> RunAsync(IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string>? environment = null, string input = "") =>
        ChildProcesses.RunAsync(
            Spec(arguments) with { Environment = environment ?? new Dictionary<string, string>(), StandardInput = input }, TestContext.Current.CancellationToken);

    static string Find()
    {
        var path = Environment.GetEnvironmentVariable("TRIBUTARY_BINARY") is { Length: > 0 } named ? named : Path.Combine(Root(), "artifacts/publish/tributary");
        return File.Exists(path) ? path : throw new InvalidOperationException($"There is no native binary at {path}. Run ./test, which builds it, or name one in TRIBUTARY_BINARY.");
    }

    static string Root()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (File.Exists(Path.Combine(directory.FullName, "Tributary.slnx")))
                return directory.FullName;
        }

        throw new InvalidOperationException($"Tributary.slnx lies in no folder above {AppContext.BaseDirectory}.");
    }
}
