using System.Diagnostics;

namespace Tributary.EndToEnd.Tests.Support;

/// <summary>Waits for conditions that only looking can tell, with a deadline after which the last value seen is the failure's text.</summary>
static class Eventually
{
    static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(20);

    public static async Task<T> HoldsAsync<T>(Func<Task<T>> read, Func<T, bool> holds, string what, TimeSpan limit)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            var value = await read();
            if (holds(value))
                return value;
            if (Stopwatch.GetElapsedTime(started) > limit)
                Assert.Fail($"After {limit.TotalSeconds:0} s it is still not so that {what}; the last look showed: {Show(value)}");
            await Task.Delay(PollInterval, TestContext.Current.CancellationToken);
        }
    }

    /// <summary>Waits until nothing is left of what <paramref name="read"/> finds.</summary>
    public static Task NothingIsLeftAsync(Func<IReadOnlyList<string>> read, string of, TimeSpan limit) =>
        HoldsAsync(() => Task.FromResult(read()), static left => left.Count == 0, $"nothing is left of {of}", limit);

    static string Show<T>(T value) => value is IEnumerable<string> lines ? string.Join(Environment.NewLine, lines) : $"{value}";
}
