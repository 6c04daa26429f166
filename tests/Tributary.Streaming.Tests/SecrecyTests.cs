using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Tributary.Streaming.Tests;

/// <summary>A row's values appear in no log line, no status and no exception, whichever way a stream fails on them.</summary>
public sealed class SecrecyTests
{
    const string Canary = "canary7f3a";

    [Theory]
    [InlineData("", "ALTER TABLE item ADD UNIQUE (v)", "INSERT INTO item VALUES (2, 'canary7f3a')")]
    [InlineData("", "ALTER TABLE item ADD CHECK (v = 'canary7f3a' AND id < 2)", "INSERT INTO item VALUES (2, 'canary7f3a')")]
    [InlineData("", "CREATE FUNCTION f(v text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no %', v; END $$; TRUNCATE item; CREATE INDEX ON item (f(v))", "INSERT INTO item VALUES (2, 'canary7f3a')")]
    [InlineData("", "CREATE FUNCTION f(v text) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT v::int'; TRUNCATE item; CREATE INDEX ON item (f(v))", "INSERT INTO item VALUES (2, 'canary7f3a')")]
    // Fails while the existing rows are copied, and while an index is made over them.
    [InlineData("CREATE TABLE t (v text CHECK (current_setting('application_name') NOT LIKE 'tributary%')); INSERT INTO t VALUES ('canary7f3a')", "", "")]
    [InlineData(
        "CREATE FUNCTION f(v text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN IF current_setting('application_name') = 'tributary' THEN RAISE EXCEPTION 'no %', v; END IF; RETURN v; END $$; " +
        "CREATE TABLE t (v text); INSERT INTO t VALUES ('canary7f3a'); CREATE INDEX ON t (f(v))", "", "")]
    [InlineData(
        "CREATE FUNCTION f(v text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN CASE WHEN current_setting('application_name') = 'tributary' THEN 'canary7f3a' ELSE v END; END $$; " +
        "CREATE TABLE t (v text); INSERT INTO t VALUES ('canary7f3a'), ('b'); CREATE UNIQUE INDEX ON t (f(v))", "", "")]
    public async Task No_value_of_a_row_is_spoken(string atSource, string atTarget, string change)
    {
        using var log = new ListLog();
        await using var stream = await StreamHarness.CreateAsync($"CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item VALUES (1, '{Canary}'); {atSource}");
        stream.LoggerFactory = log;

        stream.Start();
        if (change.Length > 0)
        {
            await stream.CatchUpAsync();
            await stream.TargetAsync(atTarget);
            await stream.SourceAsync(change);
        }

        var failure = await stream.FailureAsync();

        Assert.NotEmpty(log.Lines);
        foreach (var text in (string[])[failure.ToString(), stream.Pipeline!.Status.ToString(), .. log.Lines])
            Assert.DoesNotContain(Canary, text, StringComparison.Ordinal);
    }

    sealed class ListLog : ILoggerFactory, ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = [];

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue($"{formatter(state, exception)} {exception}");

        public void Dispose()
        {
        }
    }
}
