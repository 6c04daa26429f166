using Tributary.Postgres.Wire;

namespace Tributary.Postgres.Tests.Wire;

public sealed class FrameTests
{
    [Fact]
    public void Every_cut_of_a_frame_is_incomplete_and_the_whole_is_taken()
    {
        var bytes = new FrameWriter().Begin((byte)'Q').AddText("SELECT 1").End().AddByte((byte)'X').Written;

        for (var i = 0; i < bytes.Length - 1; i++)
            Assert.Equal(FrameRead.Incomplete, Frame.TryTake(bytes[..i], 100, out _, out _));
        Assert.Equal(FrameRead.Whole, Frame.TryTake(bytes, 100, out var frame, out var length));
        Assert.Equal(((byte)'Q', 9, bytes.Length - 1), (frame.Type, frame.Body.Length, length));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(3)]
    [InlineData(-1)]
    [InlineData(105)]
    [InlineData(int.MaxValue)]
    public async Task Impossible_length_is_seen_from_the_header_alone(int counted)
    {
        var header = new FrameWriter().AddByte((byte)'Q').AddInt32(counted).Written;

        Assert.Equal(FrameRead.Malformed, Frame.TryTake(header, 100, out _, out _));
        using var stream = new MemoryStream(header.ToArray());
        Assert.Null(await Frame.ReadAsync(stream, 100, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Stream_that_ends_within_a_frame_is_a_lost_link()
    {
        var bytes = new FrameWriter().Begin((byte)'Q').AddText("SELECT 1").End().Written.ToArray();
        using var stream = new MemoryStream(bytes[..^1]);

        await Assert.ThrowsAsync<EndOfStreamException>(() => Frame.ReadAsync(stream, 100, TestContext.Current.CancellationToken).AsTask());
    }

    [Fact]
    public void Error_survives_the_way_there_and_back()
    {
        var error = ErrorResponse.Fatal("28P01", "no\0 entry", "try again") with { Detail = "why" };

        Frame.TryTake(error.WriteTo(new FrameWriter()).Written, 1000, out var frame, out _);

        Assert.Equal(error with { Message = "no entry" }, ErrorResponse.TryParse(frame.Body.Span));
        for (var i = 0; i < frame.Body.Length; i++)
            Assert.Null(ErrorResponse.TryParse(frame.Body.Span[..i]));
    }
}
