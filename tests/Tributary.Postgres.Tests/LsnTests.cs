namespace Tributary.Postgres.Tests;

public sealed class LsnTests
{
    [Theory]
    [InlineData("0/0", 0UL)]
    [InlineData("16/B374D848", 0x16_B374D848UL)]
    [InlineData("FFFFFFFF/FFFFFFFF", ulong.MaxValue)]
    public void Reads_and_prints_what_Postgres_prints(string text, ulong value)
    {
        Assert.Equal(value, Lsn.Parse(text).Value);
        Assert.Equal(text, new Lsn(value).ToString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("1/")]
    [InlineData("/1")]
    [InlineData("123456789/0")]
    [InlineData("0/123456789")]
    [InlineData("g/0")]
    [InlineData("-1/0")]
    [InlineData("0/ 1")]
    public void Refuses_what_is_not_an_lsn(string text) => Assert.False(Lsn.TryParse(text, out _));

    [Fact]
    public void Distance_is_signed()
    {
        Assert.Equal(-16, new Lsn(16) - new Lsn(32));
        Assert.Equal(16, new Lsn(32) - new Lsn(16));
    }
}
