using Spectre.Console;
using Tributary.Contracts;

namespace Tributary.Cli.Output;

/// <summary>Shows a stream while it runs: one living line on a terminal, a line now and then in a pipe. All of it on standard error.</summary>
static class StreamProgress
{
    /// <summary>Quick enough to look alive.</summary>
    static readonly TimeSpan TerminalInterval = TimeSpan.FromMilliseconds(200);

    /// <summary>Seldom enough for a log.</summary>
    static readonly TimeSpan PipeInterval = TimeSpan.FromSeconds(10);

    /// <summary>Shows the status until <paramref name="work"/> ends, and then awaits it.</summary>
    public static Task ShowAsync(Func<StreamStatusResponse> status, Task work, TimeProvider timeProvider) =>
        Console.IsErrorRedirected ? PrintAsync(status, work, timeProvider) : LiveAsync(status, work, timeProvider);

    public static string Line(StreamStatusResponse stream)
    {
        var copied = stream.RowsEstimated > 0 ? $"{stream.RowsCopied:N0} of about {stream.RowsEstimated:N0} rows" : $"{stream.RowsCopied:N0} rows";
        return stream.Phase switch
        {
            "copyingSchema" => "copying the schema",
            "copyingRows" => $"copying existing rows: {copied}, {stream.TablesCopied} of {stream.TablesTotal} tables done",
            "streaming" => $"streaming: {stream.ChangesApplied:N0} changes in {stream.TransactionsApplied:N0} transactions" +
                (stream.LagMsP50 is { } p50 && stream.LagMsP99 is { } p99 ? $", lag p50 {Words.Milliseconds(p50)}, p99 {Words.Milliseconds(p99)}" : "") +
                (stream.LagBytes is { } behind ? $", {Words.Bytes(behind)} behind" : "") +
                (stream.Error is { } error ? $" (last trouble: {error})" : ""),
            var phase => phase ?? "starting",
        };
    }

    static Task LiveAsync(Func<StreamStatusResponse> status, Task work, TimeProvider timeProvider)
    {
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        return console.Status().StartAsync("starting", async context =>
        {
            await EveryAsync(TerminalInterval, work, timeProvider, () => context.Status(Markup.Escape(Line(status()))));
            await work;
        });
    }

    static async Task PrintAsync(Func<StreamStatusResponse> status, Task work, TimeProvider timeProvider)
    {
        string? phase = null;
        var last = timeProvider.GetTimestamp();
        // A new phase is told at once, the rest now and then.
        await EveryAsync(TerminalInterval, work, timeProvider, () =>
        {
            var now = status();
            if (now.Phase == phase && timeProvider.GetElapsedTime(last) < PipeInterval)
                return;
            phase = now.Phase;
            last = timeProvider.GetTimestamp();
            Console.Error.WriteLine(Line(now));
        });
        await work;
    }

    static async Task EveryAsync(TimeSpan interval, Task work, TimeProvider timeProvider, Action show)
    {
        using var timer = new PeriodicTimer(interval, timeProvider);
        while (!work.IsCompleted)
        {
            show();
            // Whichever comes first: the end of the work is not waited for until the next tick.
            await Task.WhenAny(timer.WaitForNextTickAsync(CancellationToken.None).AsTask(), work);
        }
    }
}
