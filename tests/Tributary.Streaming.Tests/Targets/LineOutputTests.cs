using Tributary.Streaming.Targets.Stdout;

namespace Tributary.Streaming.Tests.Targets;

public sealed class LineOutputTests
{
    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_write_that_nobody_takes_is_left_by_cancellation_and_the_next_one_waits_behind_it()
    {
        var pipe = new StalledPipe();
        var output = new LineOutput("a", pipe);
        using var cancel = new CancellationTokenSource();
        var first = output.WriteAsync("first\n"u8.ToArray(), cancel.Token);
        await pipe.Entered.WaitAsync(Cancelled);

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        var second = output.WriteAsync("second\n"u8.ToArray(), Cancelled);
        Assert.Equal(1, pipe.Writes);
        pipe.Resume();
        await second;

        Assert.Equal(["first", "second"], pipe.Sink.Lines());
    }

    sealed class StalledPipe : Stream
    {
        readonly TaskCompletionSource _resumed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        readonly TaskCompletionSource _entered = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public LineSink Sink { get; } = new();

        public Task Entered => _entered.Task;

        public int Writes { get; private set; }

        public override bool CanRead => false;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public void Resume() => _resumed.SetResult();

        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            Writes++;
            _entered.TrySetResult();
            await _resumed.Task;
            await Sink.WriteAsync(buffer, cancellationToken);
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
