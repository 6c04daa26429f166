using System.Threading.Channels;
using Tributary.Postgres;

namespace Tributary.Streaming;

/// <param name="Transaction">Null when the source only tells that it has come this far.</param>
internal readonly record struct QueueItem(Lsn Lsn, Transaction? Transaction);

/// <summary>
/// Transactions between the source and the target, bounded in number by the channel and in bytes by a budget. A transaction larger than the
/// budget passes alone. Several writers, one reader.
/// </summary>
internal sealed class TransactionQueue(StreamOptions options) : IDisposable
{
    readonly Channel<QueueItem> _channel = Channel.CreateBounded<QueueItem>(new BoundedChannelOptions(options.QueueTransactionsMax)
    {
        FullMode = BoundedChannelFullMode.Wait, // Back-pressure reaches the source's socket; nothing may be dropped.
        SingleReader = true,
    });

    readonly SemaphoreSlim _released = new(0, 1);
    readonly Lock _lock = new();
    long _bytes;
    long _transactions;
    long _rows;
    (long Rows, TaskCompletionSource Signal)? _awaited;

    /// <summary>What was written and not released yet.</summary>
    public (long Transactions, long Bytes) Usage
    {
        get
        {
            lock (_lock)
                return (_transactions, _bytes);
        }
    }

    public async ValueTask WriteAsync(QueueItem item, CancellationToken cancellationToken)
    {
        if (item.Transaction is { } transaction)
        {
            while (!TryReserve(transaction.Bytes))
                await _released.WaitAsync(cancellationToken);
        }

        var rows = item.Transaction?.Count ?? 0; // Once it is in the queue, it belongs to the reader.
        await _channel.Writer.WriteAsync(item, cancellationToken);
        CountRows(rows);
    }

    /// <summary>Ends when so many changes wait in the queue. One waiter at a time: a new call takes the place of an earlier one.</summary>
    public Task RowsAsync(long rows)
    {
        lock (_lock)
        {
            if (_rows >= rows)
                return Task.CompletedTask;
            _awaited = (rows, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
            return _awaited.Value.Signal.Task;
        }
    }

    /// <summary>Waits for one item and takes what else is there, up to the bounds of a batch; answers the position that the batch reaches.</summary>
    public async ValueTask<Lsn> TakeBatchAsync(List<Transaction> transactions, CancellationToken cancellationToken)
    {
        await _channel.Reader.WaitToReadAsync(cancellationToken);
        var reached = Lsn.Zero;
        var rows = 0L;
        var bytes = 0L;
        while (_channel.Reader.TryPeek(out var item))
        {
            if (item.Transaction is { } next)
            {
                if (transactions.Count > 0 && (next.IsAlone || transactions[^1].IsAlone || rows + next.Count > options.BatchRowsMax || bytes + next.Bytes > options.BatchBytesMax))
                    break;
                transactions.Add(next);
                rows += next.Count;
                bytes += next.Bytes;
            }

            reached = Lsn.Max(reached, item.Lsn);
            _channel.Reader.TryRead(out _);
        }

        CountRows(-rows);
        return reached;
    }

    /// <summary>Gives back the memory of transactions that were taken.</summary>
    public void Release(IReadOnlyList<Transaction> transactions)
    {
        var bytes = 0L;
        foreach (var transaction in transactions)
        {
            bytes += transaction.Bytes;
            transaction.Dispose();
        }

        lock (_lock)
        {
            _bytes -= bytes;
            _transactions -= transactions.Count;
            if (_released.CurrentCount == 0)
                _released.Release();
        }
    }

    public void Dispose()
    {
        while (_channel.Reader.TryRead(out var item))
            item.Transaction?.Dispose();
        _released.Dispose();
    }

    void CountRows(long rows)
    {
        lock (_lock)
        {
            _rows += rows;
            if (_awaited is { } awaited && _rows >= awaited.Rows)
            {
                awaited.Signal.TrySetResult();
                _awaited = null;
            }
        }
    }

    bool TryReserve(long bytes)
    {
        lock (_lock)
        {
            if (_bytes > 0 && _bytes + bytes > options.QueueBytesMax)
                return false;
            _bytes += bytes;
            _transactions++;
            return true;
        }
    }
}
