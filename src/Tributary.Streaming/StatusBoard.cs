using Tributary.Postgres;

namespace Tributary.Streaming;

/// <summary>Collects what a stream's loops report and answers immutable snapshots. Safe from any thread.</summary>
internal sealed class StatusBoard(string name, LagWindow lag, TimeProvider time) : ICopyProgress
{
    // Enough for a person to see the kind of thing that is missing; the target's table has all.
    const int ReportsKeptMax = 20;

    readonly Lock _lock = new();
    readonly Queue<SchemaReport> _lastReports = new();
    StreamPhase _phase = StreamPhase.Starting;
    CopyStatus _copy = CopyStatus.None;
    ChangeCounts _changes = ChangeCounts.None;
    long _transactions;
    long _missingRows;
    int _reconnections;
    long _batches;
    Func<InFlightStatus>? _inFlight;
    Lsn _confirmed;
    Lsn _source;
    string? _lastError;
    long _schemaChanges;
    long _schemaReports;
    bool _followsDescriptions;

    public StreamStatus Snapshot()
    {
        lock (_lock)
        {
            var percentiles = lag.Percentiles(time.GetUtcNow(), 0.50, 0.99);
            var lagBytes = Math.Max(0, Lsn.Max(_source, _confirmed) - _confirmed);
            return new StreamStatus(
                name, _phase, _copy, _transactions, _changes, _confirmed, Lsn.Max(_source, _confirmed), _confirmed.IsZero ? 0 : lagBytes,
                percentiles[0], percentiles[1], _missingRows, _reconnections, _batches,
                _inFlight?.Invoke() ?? new InFlightStatus(0, 0, 0), _lastError, _schemaChanges, _schemaReports, [.. _lastReports], _followsDescriptions);
        }
    }

    public void Enter(StreamPhase phase)
    {
        lock (_lock)
        {
            _phase = phase;
            if (phase == StreamPhase.Streaming)
                _copy = _copy with { Fraction = 1 };
        }
    }

    public void Failed(string error, bool willReconnect)
    {
        lock (_lock)
        {
            _lastError = error;
            if (willReconnect)
                _reconnections++;
            _phase = willReconnect ? StreamPhase.Starting : StreamPhase.Failed;
        }
    }

    public void SourceAt(Lsn lsn)
    {
        lock (_lock)
            _source = Lsn.Max(_source, lsn);
    }

    public void Confirmed(Lsn lsn)
    {
        lock (_lock)
            _confirmed = Lsn.Max(_confirmed, lsn);
    }

    /// <param name="usage">Asked with each snapshot; null when no session streams.</param>
    public void InFlight(Func<InFlightStatus>? usage)
    {
        lock (_lock)
            _inFlight = usage;
    }

    public void Written(TransactionBatch batch, WriteOutcome outcome)
    {
        var now = time.GetUtcNow();
        var counts = batch.Transactions.Aggregate(ChangeCounts.None, static (sum, transaction) => sum + transaction.Counts());
        lock (_lock)
        {
            _batches++;
            _transactions += batch.Transactions.Count;
            // A description of a table may turn out to change nothing.
            _changes += counts with { Schemas = outcome.SchemaChanges };
            _missingRows += outcome.MissingRows;
            _schemaChanges += outcome.SchemaChanges;
            _schemaReports += outcome.Reports?.Count ?? 0;
            foreach (var report in outcome.Reports ?? [])
            {
                _lastReports.Enqueue(report);
                if (_lastReports.Count > ReportsKeptMax)
                    _lastReports.Dequeue();
            }

            _source = Lsn.Max(_source, batch.Position);
            foreach (var transaction in batch.Transactions)
                lag.Add(now, Math.Max(0, (now - transaction.CommitTime).TotalMilliseconds));
        }
    }

    public void FollowsDescriptions(bool follows)
    {
        lock (_lock)
            _followsDescriptions = follows;
    }

    public void SchemaStarted()
    {
        lock (_lock)
        {
            _phase = StreamPhase.CopyingSchema;
            _copy = CopyStatus.None;
        }
    }

    public void RowsStarted(int tables, long rowsEstimated)
    {
        lock (_lock)
        {
            _phase = StreamPhase.CopyingRows;
            _copy = CopyStatus.None with { TablesTotal = tables, RowsEstimated = rowsEstimated };
        }
    }

    public void RowsCopied(long rows, long bytes)
    {
        lock (_lock)
            _copy = Advanced(_copy with { Rows = _copy.Rows + rows, Bytes = _copy.Bytes + bytes });
    }

    public void TableDone(long rowsEstimated, long rows)
    {
        lock (_lock)
            _copy = Advanced(_copy with { TablesDone = _copy.TablesDone + 1, RowsEstimated = _copy.RowsEstimated + rows - rowsEstimated });
    }

    public void Finished()
    {
        lock (_lock)
            _copy = _copy with { RowsEstimated = _copy.Rows, Fraction = 1 };
    }

    // An estimate that turns out too low must not make the fraction fall back.
    static CopyStatus Advanced(CopyStatus copy)
    {
        var estimated = Math.Max(copy.Rows, copy.RowsEstimated);
        var fraction = estimated == 0 ? 0 : Math.Min(CopyStatus.FractionBeforeIndexes, (double)copy.Rows / estimated);
        return copy with { RowsEstimated = estimated, Fraction = Math.Max(copy.Fraction, fraction) };
    }
}
