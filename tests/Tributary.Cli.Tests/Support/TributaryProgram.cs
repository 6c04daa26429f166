using System.Diagnostics;
using Tributary.Postgres.Programs;
using Tributary.Testing;

namespace Tributary.Cli.Tests.Support;

/// <summary>The built program as a child process, as a user runs it: the native binary that <c>./test</c> names, else the one this test was built with.</summary>
static class TributaryProgram
{
    public static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>An empty folder, so that no tributary.yaml lies where the program is run.</summary>
    public static readonly string EmptyFolder = TestFolder.New("cwd");

    public static Task<ChildProcessResult> RunAsync(params string[] arguments) => RunInAsync(EmptyFolder, new Dictionary<string, string>(), arguments);

    public static async Task<ChildProcessResult> RunInAsync(string folder, IReadOnlyDictionary<string, string> environment, params string[] arguments)
    {
        using var process = Process.Start(StartInfo(folder, environment, arguments))!;
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync(Token);
        var error = process.StandardError.ReadToEndAsync(Token);
        await process.WaitForExitAsync(Token);
        return new ChildProcessResult(process.ExitCode, await output, await error);
    }

    public static ProcessStartInfo StartInfo(string folder, IReadOnlyDictionary<string, string> environment, IReadOnlyList<string> arguments)
    {
        var native = System.Environment.GetEnvironmentVariable("TRIBUTARY_BINARY");
        var start = native is null
            ? new ProcessStartInfo("dotnet", [Path.Combine(AppContext.BaseDirectory, "tributary.dll"), .. arguments])
            : new ProcessStartInfo(native, arguments);
        (start.RedirectStandardInput, start.RedirectStandardOutput, start.RedirectStandardError, start.WorkingDirectory) = (true, true, true, folder);
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return start;
    }
}
