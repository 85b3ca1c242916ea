# %% [markdown]
# # Customers and experiments
#
# This notebook works through typical questions of business analytics with small tables: which customers matter, which of them will stay, and whether a change of the web page has helped. Every number can be checked by hand.

# %% [markdown]
# ## RFM scores
#
# An **RFM score** is a rating of a customer by recency, frequency and monetary value. Each customer below has the days since the last purchase, the number of purchases and the revenue. A customer gets one point for each measure on the better side of the median. Recency is better when it is small; the other two are better when they are large. A customer with few points for recency but many for the rest was good once and may be leaving, therefore such customers are contacted first.

# %%
from statistics import median

customers = {"Ada": (5, 12, 900), "Ben": (80, 2, 60), "Cem": (95, 10, 700), "Dora": (10, 3, 90)}
limits = [median(values[i] for values in customers.values()) for i in range(3)]
for name, (days, orders, revenue) in customers.items():
    print(name, [int(days < limits[0]), int(orders > limits[1]), int(revenue > limits[2])])

# %% [markdown]
# ## Customer segments with k-means
#
# **K-means** is a method that finds groups by moving centres. The steps are: assign each customer to the nearest centre, move each centre to the mean of its customers, and repeat until nothing changes. The table holds visits a month and the average basket in tens of euros, so that both features have a similar scale. The cell starts from the first and the last customer. The second round changes nothing, so the result is stable.

# %%
import numpy as np

table = np.array([[1, 2], [2, 1], [2, 3], [8, 6], [9, 7], [7, 8]], dtype=float)
centres = table[[0, -1]]
for step in range(2):
    # Distances of all customers to both centres.
    distances = np.linalg.norm(table[:, None] - centres[None], axis=2)
    groups = distances.argmin(axis=1)
    centres = np.array([table[groups == group].mean(axis=0) for group in range(2)])
print(groups.tolist())
print(centres.round(2).tolist())

# %% [markdown]
# ## Pareto share
#
# The **Pareto share** is the part of a total that comes from the largest contributors. Ten customers are sorted by revenue, and the cumulative share is computed. The two best customers, a fifth of all, bring 70 percent of the revenue here. Such a concentration is a risk as well as a chance, because the loss of one customer would be felt at once.

# %%
revenues = [400, 300, 80, 60, 50, 40, 30, 20, 10, 10]
total = sum(revenues)
print(total, sum(revenues[:2]) / total)

# %% [markdown]
# ## Retention by cohort
#
# A **cohort** is a group of customers who started in the same period. The table counts how many customers of each starting month were active in the months after it. Dividing each row by its first number makes cohorts of different size comparable. The second month of the later cohort is better than that of the earlier one, so a change of the product between the two may have helped. It is not proof, because the customers may differ in other ways.

# %%
cohorts = {"January": [200, 120, 90], "February": [160, 112], "March": [180]}
for month, active in cohorts.items():
    print(month, [f"{count / active[0]:.0%}" for count in active])

# %% [markdown]
# ## Customer lifetime value with discounting
#
# **Discounting** is the conversion of future money into today's value by dividing it by one plus the interest rate for each period. With a margin of 20 euros a month, a churn of 4 percent and a monthly interest of 1 percent, the value of a customer is the sum of the expected discounted margins. The cell adds 600 months one by one and compares the result with the closed formula. Without discounting the value would be 500 euros, if the first margin is counted in full.

# %%
margin, churn, interest = 20, 0.04, 0.01
stay = (1 - churn) / (1 + interest)
value = sum(margin * stay**month for month in range(600))
print(round(value, 2), round(margin / (1 - stay), 2))

# %% [markdown]
# ## Conversion rates in an A/B test
#
# The **conversion rate** is the number of buyers divided by the number of visitors. Version A had 200 buyers among 4,000 visitors, and version B had 250 buyers among 4,000. The absolute difference is 1.25 percentage points, and the relative difference is 25 percent. Reports should say which of the two they mean, because "25 percent better" sounds much larger than "1.25 points better".

# %%
buyers, visitors = (200, 250), 4000
rates = [count / visitors for count in buyers]
print(rates, round(rates[1] - rates[0], 4), round(rates[1] / rates[0] - 1, 3))

# %% [markdown]
# ## Two-proportion z-test
#
# The **two-proportion z-test** is a hypothesis test for the difference of two shares. Under the null hypothesis both versions have the same rate, which is therefore estimated from both groups together. The statistic is the difference of the rates divided by its standard error. The p-value comes from the normal distribution. It is about 0.015 here, so the difference is significant at the 5 percent level.

# %%
import math

pooled = (200 + 250) / 8000
error = math.sqrt(pooled * (1 - pooled) * (1 / 4000 + 1 / 4000))
z = (250 / 4000 - 200 / 4000) / error
# Two-sided probability beyond z under the normal distribution.
p_value = math.erfc(abs(z) / math.sqrt(2))
print(f"z = {z:.2f}, p = {p_value:.4f}")

# %% [markdown]
# ## Confidence interval for the difference
#
# A test says whether there is a difference; a confidence interval says how large it may be. The standard error is now computed without pooling, because the interval does not assume that the rates are equal. The whole interval lies above zero, which agrees with the test. However, its lower end is small. A firm that needs at least half a point to pay for the change cannot be sure of it.

# %%
import math

a, b, n = 0.05, 0.0625, 4000
error = math.sqrt(a * (1 - a) / n + b * (1 - b) / n)
low, high = b - a - 1.96 * error, b - a + 1.96 * error
print(f"{low:.4f} to {high:.4f}")

# %% [markdown]
# ## Permutation test
#
# A **permutation test** is a hypothesis test that compares the observed difference with the differences that arise when the group labels are shuffled. If the version made no difference, every assignment of labels would be equally likely. With eight baskets there are only 70 ways to choose the four of version B, so all of them can be listed. The p-value is the share of them with a difference at least as large as the observed one. No distribution has to be assumed. Here it is 4 of 70, or 0.057, just too large for the 5 percent level, since eight baskets are very few.

# %%
from itertools import combinations

baskets = [21, 25, 19, 23, 28, 30, 24, 29]
observed = sum(baskets[4:]) / 4 - sum(baskets[:4]) / 4
extreme = 0
for chosen in combinations(range(8), 4):
    group = sum(baskets[i] for i in chosen)
    difference = group / 4 - (sum(baskets) - group) / 4
    extreme += abs(difference) >= abs(observed)
print(observed, extreme, round(extreme / 70, 3))

# %% [markdown]
# ## Peeking at a running test
#
# **Peeking** is the practice of looking at a running test again and again and stopping at the first significant result. The simulation runs 2,000 tests of two identical versions. A single look at the end finds a false difference in about 5 percent of them. Ten looks find one far more often, because each look is another chance for a false alarm. The remedy is to fix the number of visitors in advance, or to use a method made for repeated looks.

# %%
import numpy as np

generator = np.random.default_rng(7)
steps = generator.normal(size=(2000, 10))
# The z statistic after each of ten equal parts of the data.
z = steps.cumsum(axis=1) / np.sqrt(np.arange(1, 11))
single = (abs(z[:, -1]) > 1.96).mean()
peeking = (abs(z) > 1.96).any(axis=1).mean()
print(f"one look {single:.3f}, ten looks {peeking:.3f}")

# %% [markdown]
# ## Lift of two products
#
# **Lift** is the factor by which the purchase of one product raises the probability of another. It is the share of baskets with both products divided by the share that independence would give. A lift of one means independence. The cell counts five baskets: bread and butter have a lift above one, whereas bread and beer have a lift below one.

# %%
baskets = [{"bread", "butter"}, {"bread", "butter", "beer"}, {"beer"}, {"bread"}, {"bread", "butter"}]


def share(*products):
    return sum(set(products) <= basket for basket in baskets) / len(baskets)


for other in ("butter", "beer"):
    print(other, round(share("bread", other) / (share("bread") * share(other)), 3))

# %% [markdown]
# ## A profitable threshold
#
# An offer costs 15 euros, a customer who stays is worth 300 euros, and the offer keeps a quarter of those who would leave. It pays for a customer when $0.25 \cdot 300 \cdot p > 15$, that is for a probability of leaving above 0.2. The cell compares the expected profit of three rules: contact nobody, contact everybody, and contact those above the threshold. The threshold wins, because it leaves out exactly the customers on whom money is lost.

# %%
risks = [0.02, 0.05, 0.10, 0.15, 0.25, 0.40, 0.60]
profits = [0.25 * 300 * risk - 15 for risk in risks]
print("nobody", 0)
print("everybody", round(sum(profits), 2))
print("above 0.2", round(sum(profit for risk, profit in zip(risks, profits) if risk > 0.2), 2))

# %% [markdown]
# ## Naive forecast and seasonal forecast
#
# A **naive forecast** repeats the last value. A **seasonal naive forecast** repeats the value of the same day one season earlier. Both cost nothing, and every better method must beat them. The cell forecasts the second week of daily sales from what came before each day and compares the mean absolute errors. The seasonal forecast is better because the weekly pattern is strong.

# %%
sales = [20, 22, 21, 24, 30, 45, 40, 21, 23, 20, 25, 31, 47, 39]
naive = [abs(sales[day] - sales[day - 1]) for day in range(7, 14)]
seasonal = [abs(sales[day] - sales[day - 7]) for day in range(7, 14)]
print(round(sum(naive) / 7, 2), round(sum(seasonal) / 7, 2))
