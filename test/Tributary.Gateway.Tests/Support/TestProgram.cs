using System.Diagnostics;

namespace Tributary.Gateway.Tests.Support;

readonly record struct ProgramOutput(int ExitCode, string Out, string Error);

/// <summary>Runs a program to its end, a minute at most.</summary>
static class TestProgram
{
    static readonly TimeSpan Deadline = TimeSpan.FromMinutes(1);

    public static async Task<ProgramOutput> RunAsync(string file, IReadOnlyList<string> arguments, IReadOnlyDictionary<string, string?> environment)
    {
        var start = new ProcessStartInfo(file, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        using var process = Process.Start(start)!;
        process.StandardInput.Close();
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        deadline.CancelAfter(Deadline);
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
            var error = process.StandardError.ReadToEndAsync(deadline.Token);
            await process.WaitForExitAsync(deadline.Token);
            return new ProgramOutput(process.ExitCode, (await output).TrimEnd('\n'), (await error).TrimEnd('\n'));
        }
        finally
        {
            if (!process.HasExited)
                process.Kill();
        }
    }
}
