using Microsoft.Extensions.Logging;

namespace Tributary.Cli.Output;

/// <summary>The server's log as plain lines on standard error: time, level, room, message. A service manager or a shell does the rest.</summary>
sealed class StderrLogging(TimeProvider timeProvider, TextWriter output) : ILoggerProvider
{
    readonly Lock _lock = new();

    public static ILoggerFactory Create(TextWriter output, LogLevel least) => LoggerFactory.Create(builder => builder
        .SetMinimumLevel(least)
        // The web framework tells of every request; that is noise beside what the rooms say.
        .AddFilter("Microsoft", LogLevel.Warning)
        .AddProvider(new StderrLogging(TimeProvider.System, output)));

    public ILogger CreateLogger(string categoryName) => new Logger(this, categoryName);

    public void Dispose()
    {
    }

    void Write(LogLevel level, string category, string message, Exception? exception)
    {
        var mark = level switch { LogLevel.Critical or LogLevel.Error => "ERROR", LogLevel.Warning => "warn ", LogLevel.Information => "info ", _ => "debug" };
        var room = category.StartsWith("Tributary.", StringComparison.Ordinal) ? category.Split('.')[1].ToLowerInvariant() : category;
        lock (_lock)
        {
            output.WriteLine($"{timeProvider.GetUtcNow():yyyy-MM-ddTHH:mm:ss.fffZ} {mark} {room}: {message}");
            // An error's own text is in its message or names a fault of ours; the stack belongs to the latter.
            if (exception is not null && level >= LogLevel.Error)
                output.WriteLine(exception);
        }
    }

    sealed class Logger(StderrLogging owner, string category) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            owner.Write(logLevel, category, formatter(state, exception), exception);
    }
}
